"""The middleware in front of every route: hosts, origins, keys, sizes, compression, request log."""
