"""The history of this user's chats, on this machine alone.

It is one SQLite file in the state folder, with mode 0600; `--demo` has a file of its own. A chat is
stored completely, so that it can be continued, with the data that a list shows.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import codexapi_engine as engine
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.responses.items import family
from codexapi_engine.protocol.responses.texts import complete_text, role_of
from codexapi_engine.protocol.shapes import get_int, get_list, get_str
from codexapi_engine.storage import ObjectStore, Owner

_CHAT, _HEAD, _LINE = "chat", "head", "line"
_YEAR_9999 = 253_000_000_000
"""Epoch seconds: no calendar goes further."""

_LONGEST = 72
"""Characters of a title."""

_LONGEST_LINE = 16 * 1024
"""Characters of a line for the arrow keys: more is a file that was pasted."""


def new_id() -> str:
    return secrets.token_hex(5)


def path_in(settings: engine.Settings) -> Path:
    return settings.state_dir / ("history-demo.db" if settings.demo else "history.db")


class Turn(NamedTuple):
    """What a chat became."""

    items: list[JsonObject]  # all of it, as we have it
    base: list[JsonObject]  # what was kept of it when we last looked
    added: list[JsonObject]  # what is ours of `items`, and not kept yet


class ChatHistory:
    """Chats by id. Close it at the end. Raises Unavailable where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._objects = ObjectStore(path)

    def keep(
        self,
        cid: str,
        turn: Turn,
        *,
        title: str,
        model: str,
        account: str,
        system: str | None,
    ) -> list[JsonObject]:
        """Keeps a chat, as the newest, and returns its items. `account` is the owner's. Where
        another program has added to it meanwhile, both turns are kept, one after the other."""
        now = int(time.time())
        with self._objects.transaction():
            before = self._head(cid) or {}
            items = turn.items
            if (
                self._objects.get(_CHAT, cid) is not None
                and (there := self.items(cid)) != turn.base
            ):
                writer = Owner(self.account(cid), family(get_str(before, "model")))
                items = [*Owner(account, family(model)).sendable(there, writer), *turn.added]
            self._objects.put(_CHAT, cid, {"items": items, "account": account})
            head = {
                "title": get_str(before, "title") or title_of(title),
                "model": model,
                "system": system,
                "created_at": get_int(before, "created_at") or now,
                "updated_at": now,
                "turns": (get_int(before, "turns") or 0) + 1,
            }
            self._objects.put(_HEAD, cid, {"cid": cid, **head})
        return items

    def heads(self) -> Iterator[JsonObject]:
        """What a list shows, the newest first. A row of another shape than ours is left out."""
        rows = self._objects.all(_HEAD, newest_first=True)
        return (head for cid, row in rows if (head := _checked_head(cid, row)) is not None)

    def search(self, text: str) -> Iterator[JsonObject]:
        """The heads of the chats that contain a text, in any case, the newest first."""
        words = text.casefold()
        return (
            head
            for head in self.heads()
            if words in f"{head['title']}\n{transcript(self.items(head['cid']))}".casefold()
        )

    def _head(self, cid: str) -> JsonObject | None:
        row = self._objects.get(_HEAD, cid)
        return None if row is None else _checked_head(cid, row)

    def find(self, prefix: str | None) -> JsonObject | None:
        """The head of the chat whose id begins so, or of the newest; None if there is none, or
        more than one."""
        if prefix is None:
            return next(self.heads(), None)
        found = [head for head in self.heads() if prefix and head["cid"].startswith(prefix)]
        return found[0] if len(found) == 1 else None

    def items(self, cid: str) -> list[JsonObject]:
        return get_list(self._objects.get(_CHAT, cid) or {}, "items")

    def account(self, cid: str) -> str:
        """Whose login the chat is of; "" where that is unknown."""
        return get_str(self._objects.get(_CHAT, cid) or {}, "account")

    def take_back(self, cid: str, question: JsonObject) -> list[JsonObject] | None:
        """Removes the last turn that begins with this question, and returns what is left; None where
        there is none. Turns that another program has added stay; a chat without a turn goes."""
        with self._objects.transaction():
            items = self.items(cid)
            starts = [n for n, item in enumerate(items) if is_question(item)]
            start = next((n for n in reversed(starts) if items[n] == question), None)
            if start is None:
                return None
            end = next((n for n in starts if n > start), len(items))
            items = [*items[:start], *items[end:]]
            if not items:
                self._objects.delete(_HEAD, cid)
                self._objects.delete(_CHAT, cid)
            self._objects.change(_CHAT, cid, lambda row: {**row, "items": items})
            self._objects.change(
                _HEAD, cid, lambda row: {**row, "turns": max(1, (get_int(row, "turns") or 1) - 1)}
            )
        return items

    def remove(self, cid: str) -> None:
        """Forgets a chat, and the lines that were typed in it."""
        with self._objects.transaction():
            self._objects.delete(_HEAD, cid)
            self._objects.delete(_CHAT, cid)
            for name, row in list(self._objects.all(_LINE)):
                if row.get("cid") == cid:
                    self._objects.delete(_LINE, name)

    def clear(self) -> None:
        """Forgets all chats, and all lines."""
        with self._objects.transaction():
            for kind in (_CHAT, _HEAD, _LINE):
                for name, _ in list(self._objects.all(kind)):
                    self._objects.delete(kind, name)

    def lines(self) -> list[str]:
        """What was typed in interactive chats, the newest first."""
        rows = self._objects.all(_LINE, newest_first=True)
        return [text for _, row in rows if (text := get_str(row, "text"))]

    def add_line(self, text: str, cid: str) -> None:
        """Keeps a line for the arrow keys, once, as the newest. The store bounds their number."""
        if len(text) <= _LONGEST_LINE:
            name = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
            self._objects.put(_LINE, name, {"text": text, "cid": cid})

    def close(self) -> None:
        self._objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _checked_head(cid: str, row: JsonObject) -> JsonObject | None:
    """A head as it was kept; None if its row has another shape than ours."""
    updated, system = get_int(row, "updated_at"), row.get("system")
    if updated is None or not 0 <= updated < _YEAR_9999 or not get_str(row, "model"):
        return None
    return {
        **row,
        "cid": cid,
        "title": get_str(row, "title"),
        "system": system if isinstance(system, str) else None,
        "updated_at": updated,
    }


def is_question(item: JsonObject) -> bool:
    """Whether a turn begins with this item."""
    return item.get("role") == "user"


def sayable(item: JsonObject) -> JsonObject:
    """An item of an answer, as it can be sent again."""
    return {name: value for name, value in item.items() if name != "status"}


def transcript(items: list[JsonObject]) -> str:
    """The conversation as Markdown. Pictures and files are named by their kind alone."""
    blocks = []
    for item in items:
        if item.get("type") == "message" and (text := text_in(item)):
            is_question = item.get("role") == "user"
            blocks.append(
                "\n".join(f"> {line}".rstrip() for line in text.split("\n"))
                if is_question
                else text
            )
    return "\n\n".join(blocks) + "\n"


def text_in(item: JsonObject) -> str:
    """The text of a message without its reasoning; what is no text is named by its kind."""
    parts = [
        complete_text(part) or f"[{get_str(part, 'type').removeprefix('input_')}]"
        for part in get_list(item, "content")
        if role_of(part) != "reasoning"
    ]
    return "\n\n".join(parts).strip()


def title_of(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1].rstrip() + "…"
