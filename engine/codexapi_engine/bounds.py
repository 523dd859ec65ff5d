"""Sizes, times and margins that two modules know, or that a user may ask about."""

from __future__ import annotations

IMAGES_AT_ONCE = 2
"""Pictures of one request that are drawn at the same time."""
