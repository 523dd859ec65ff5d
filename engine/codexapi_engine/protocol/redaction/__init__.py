"""Takes what is private out of recorded requests and answers, and keeps their shape.

Everything keeps its length in bytes, so the pieces in which a body came can be cut at the same
places. Nothing of the wire stays that is not in `vocabulary.py`.
"""

from .bodies import Body, Redaction
from .json_text import JsonRedaction
from .standins import Equals, Standins

__all__ = ["Body", "Equals", "JsonRedaction", "Redaction", "Standins"]
