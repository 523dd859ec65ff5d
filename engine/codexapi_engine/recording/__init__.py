"""Recordings of what is said with the backend: how they are written, read and played."""
