"""The command line, which starts the other front ends."""
