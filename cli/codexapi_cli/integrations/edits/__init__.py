"""Edits of other programs' settings files: one entry is put in or taken out, and nothing else in
the file changes, byte for byte.

    file = SettingsFile(path, jsonc)            # or toml, yaml; `path` need not exist
    change = file.put([Entry(("mcpServers", "codexapi"), {...})])
    print(change.diff())                        # what --dry-run shows; "" if there is nothing to do
    backup = change.write()                     # atomic, with a backup beside the file
    SettingsFile(path, jsonc).undo([...]).write()     # what was there before, exactly

An edit is made in the text, read again and compared with what was meant. What cannot be edited
safely raises `Refused` (exit code 7): print `snippet(form, entries)` then, for the user to paste.
An entry under our name that says something else raises `Conflict` (exit code 8) unless forced.
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
