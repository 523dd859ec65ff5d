"""Edits other programs' settings files: an entry is added or removed, and every other byte stays.

    file = SettingsFile(path, jsonc)            # or toml, yaml; `path` need not exist
    change = file.put([Entry(("mcpServers", "codexapi"), {...})])
    print(change.diff())                        # the output of --dry-run; "" for no change
    backup = change.write()                     # atomic, with a backup beside the file
    SettingsFile(path, jsonc).undo([...]).write()     # restores the earlier bytes exactly

An edit is made in the text, parsed again and compared with the intended document. A file that
cannot be edited safely raises `Refused` (exit code 7): then print `snippet(form, entries)` for the
user to paste. An entry under our name with other content raises `Conflict` (exit code 8) unless
forced.
"""

from .document import MISSING, Conflict, DocumentFormat, Entry, ListItem, Path, Refused, snippet
from .file import Change, SettingsFile

__all__ = [
    "MISSING",
    "Change",
    "Conflict",
    "DocumentFormat",
    "Entry",
    "ListItem",
    "Path",
    "Refused",
    "SettingsFile",
    "snippet",
]
