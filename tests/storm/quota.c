/* A disk that is full, as a quota tells it: EDQUOT where the kernel says ENOSPC, as long as the file
   that CODEXAPI_STORM_QUOTA names is there. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t by_quota(ssize_t result)
{
    const char *path;

    if (result < 0 && errno == ENOSPC) {
        path = getenv("CODEXAPI_STORM_QUOTA");
        errno = path && access(path, F_OK) == 0 ? EDQUOT : ENOSPC;
    }
    return result;
}

ssize_t write(int file, const void *data, size_t size)
{
    return by_quota(REAL(write)(file, data, size));
}

ssize_t writev(int file, const struct iovec *pieces, int count)
{
    return by_quota(REAL(writev)(file, pieces, count));
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at)
{
    return by_quota(REAL(pwrite64)(file, data, size, at));
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return (int)by_quota(REAL(open64)(path, flags, mode));
}

int fsync(int file)
{
    return (int)by_quota(REAL(fsync)(file));
}
