"""The Files API, and the references of requests to stored files.

* `objects.py`     a stored file, and its object
* `media_type.py`  its media type
* `references.py`  the file ids of a request, and the files in their place
* `request.py`     the schema of uploads

Only the first is imported here: the storage, which every command with a history loads, needs no more.
"""

from __future__ import annotations

from .objects import DELETED, FileContent, StoredFile, clean_name, file_object

__all__ = ["DELETED", "FileContent", "StoredFile", "clean_name", "file_object"]
