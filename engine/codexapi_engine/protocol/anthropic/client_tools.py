"""Tools whose schema a client does not send: this API knows them by their type, and the client runs
them. The model is told what they take."""

from __future__ import annotations

from ...errors import JsonObject


def _string_schema(about: str) -> JsonObject:
    return {"type": "string", "description": about}


def _schema(required: list[str], **properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": properties, "required": required}


def _one_of(*values: str) -> JsonObject:
    return {"type": "string", "enum": list(values)}


_PATH = _string_schema("Absolute path of a file or folder.")
_LINE = {"type": "integer", "description": "The line after which to insert; 0 is the beginning."}
_RANGE = {
    "type": "array",
    "items": {"type": "integer"},
    "description": "First and last line to view; -1 is the end of the file.",
}
_EDITING: dict[str, JsonObject] = {
    "path": _PATH,
    "file_text": _string_schema("For create: the content of the file."),
    "old_str": _string_schema("For str_replace: the text to replace; it must occur exactly once."),
    "new_str": _string_schema("For str_replace: the text to put in its place."),
    "insert_line": _LINE,
    "insert_text": _string_schema("For insert: the text to insert."),
    "view_range": _RANGE,
}

CLIENT_TOOLS: dict[str, tuple[str, JsonObject]] = {
    "bash": (
        "Run a command in a persistent bash session.",
        _schema(
            [],
            command=_string_schema("The command to run."),
            restart={"type": "boolean", "description": "Restart the session instead."},
        ),
    ),
    "text_editor": (
        "View, create and edit text files.",
        _schema(
            ["command", "path"],
            command=_one_of("view", "create", "str_replace", "insert"),
            **_EDITING,
        ),
    ),
    "memory": (
        "Read and write files under /memories, which stay between conversations.",
        _schema(
            ["command"],
            command=_one_of("view", "create", "str_replace", "insert", "delete", "rename"),
            old_path=_string_schema("For rename: the present path."),
            new_path=_string_schema("For rename: the path to be."),
            **_EDITING,
        ),
    ),
}
"""Description and schema by the type of a tool, which has a date behind it."""
