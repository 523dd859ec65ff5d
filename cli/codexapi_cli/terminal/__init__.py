"""The standard streams, and all drawing on a terminal."""
