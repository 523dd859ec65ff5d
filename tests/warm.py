"""A codexapi of a server of forks, for who starts a program: `python -IS tests/warm.py ADDRESS CODE
ARGUMENT…`. CODE stands for that of `python -c`; "" is codexapi itself.

It is as the program: it has its streams, its network and its mounts, passes signals on to it, and ends as it does. Where it is
killed, the program is too. It costs a twentieth of an interpreter that imports codexapi.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def command(address: str, *arguments: str, code: str = "") -> list[str]:
    return [sys.executable, "-IS", __file__, address, code, *arguments]


def main(address: str, code: str, *arguments: str) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.connect(address)
    order = {
        "code": code, "arguments": arguments, "env": dict(os.environ), "cwd": os.getcwd(),
    }  # fmt: skip
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    places = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in ("net", "mnt")]
    socket.send_fds(line, [json.dumps(order).encode()], [0, 1, 2, *places])
    pid = json.loads(line.recv(1024))["begin"]
    for number in signals:
        signal.signal(number, lambda number, _: os.kill(pid, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    end = json.loads(line.recv(1024))["code"]
    if end < 0:
        signal.signal(-end, signal.SIG_DFL)
        os.kill(os.getpid(), -end)
    os._exit(end)


if __name__ == "__main__":
    main(*sys.argv[1:])
