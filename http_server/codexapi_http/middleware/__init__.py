"""What stands before every route: hosts, origins, keys, sizes, compression and the request log."""
