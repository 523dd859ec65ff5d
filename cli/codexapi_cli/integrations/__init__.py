"""Other programs that use codexapi: their settings files, and our entries in them."""
