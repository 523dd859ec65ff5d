"""Recordings of exchanges with the backend: written, read and played."""
