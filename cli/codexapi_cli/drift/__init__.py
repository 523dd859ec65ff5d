"""Compares the official client of this machine with what codexapi sends and knows."""
