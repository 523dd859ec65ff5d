"""The servers that run on this machine: their registry, checks and background processes."""
