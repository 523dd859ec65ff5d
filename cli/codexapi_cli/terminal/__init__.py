"""Standard streams and what is drawn on a terminal."""
