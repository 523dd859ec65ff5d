"""The Files API, and the references of requests to stored files.

`request.py`, the schema of uploads, is not imported here: it needs pydantic, which only the HTTP
server loads.
"""

from __future__ import annotations

from .objects import DELETED, FileContent, StoredFile, clean_name, file_object
from .references import file_ids, fill, path_of

__all__ = [
    "DELETED",
    "FileContent",
    "StoredFile",
    "clean_name",
    "file_ids",
    "file_object",
    "fill",
    "path_of",
]  # fmt: skip
