"""Integrations with other programs: their settings files, and our entries in them."""
