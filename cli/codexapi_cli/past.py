"""The chats of this user, kept on this machine and nowhere else.

One SQLite file in the state folder, 0600; `--demo` has a file of its own. A chat is kept whole, so
that it can go on, and beside it what a list shows of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import codexapi_engine as engine
from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol.responses.items import without_reasoning
from codexapi_engine.protocol.shapes import listed, word
from codexapi_engine.state import Shelf

_CHAT, _HEAD = "chat", "head"
_LONGEST = 72
"""Characters of a title."""


def new_id() -> str:
    return secrets.token_hex(5)


def path_in(settings: engine.Settings) -> Path:
    return settings.state_dir / ("history-demo.db" if settings.demo else "history.db")


class Past:
    """Chats by id. Close it at the end. Raises Unavailable where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._shelf = Shelf(path)

    def keep(
        self,
        cid: str,
        items: list[JsonObject],
        *,
        known: int,
        turn: list[JsonObject],
        title: str,
        model: str,
        account: str,
        system: str | None,
    ) -> int:
        """Keeps a chat as it now stands, as the newest; returns how many items it has.

        `turn` is what is new in `items`, and `known` how many items the chat had before. Where it
        has more by now, another program went on with it too: then its turns stay, and ours comes
        behind them. `account` is the owner's.
        """
        now = int(time.time())
        before = self._shelf.get(_HEAD, cid) or {}

        def changed(chat: JsonObject) -> JsonObject:
            there = listed(chat, "items")
            if len(there) <= known:
                return {"items": items, "account": account}
            if word(chat, "account") != account:  # which cannot read it
                there = without_reasoning(there)
            return {"items": [*there, *turn], "account": account}

        chat = self._shelf.change(_CHAT, cid, changed)
        if chat is None:
            chat = {"items": items, "account": account}
            self._shelf.put(_CHAT, cid, chat)
        head = {
            "cid": cid,
            "title": before.get("title") or _title(title),
            "model": model,
            "system": system,
            "created_at": before.get("created_at", now),
            "updated_at": now,
            "turns": before.get("turns", 0) + 1,
        }
        self._shelf.put(_HEAD, cid, head)
        return len(chat["items"])

    def heads(self) -> Iterator[JsonObject]:
        """What a list shows, the newest first."""
        return (head for _, head in self._shelf.all(_HEAD, newest_first=True))

    def find(self, asked: str | None) -> JsonObject | None:
        """The head of the chat whose id begins so, or of the newest; None if there is none, or
        more than one."""
        if asked is None:
            return next(self.heads(), None)
        found = [head for head in self.heads() if asked and head["cid"].startswith(asked)]
        return found[0] if len(found) == 1 else None

    def items(self, cid: str) -> list[JsonObject]:
        return list((self._shelf.get(_CHAT, cid) or {}).get("items", ()))

    def account(self, cid: str) -> str:
        """Whose login the chat is of; "" where that is unknown."""
        return word(self._shelf.get(_CHAT, cid) or {}, "account")

    def remove(self, cid: str) -> None:
        self._shelf.delete(_HEAD, cid)
        self._shelf.delete(_CHAT, cid)

    def close(self) -> None:
        self._shelf.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sayable(item: JsonObject) -> JsonObject:
    """An item of an answer, as it can be sent again."""
    return {name: value for name, value in item.items() if name != "status"}


def transcript(items: list[JsonObject]) -> str:
    """What was said, as Markdown. Pictures and files are named by their kind alone."""
    told = []
    for item in items:
        if item.get("type") == "message" and (text := _said(item)):
            asked = item.get("role") == "user"
            told.append(
                "\n".join(f"> {line}".rstrip() for line in text.split("\n")) if asked else text
            )
    return "\n\n".join(told) + "\n"


def _said(item: JsonObject) -> str:
    parts = [
        word(part, "text")
        or word(part, "refusal")
        or f"[{word(part, 'type').removeprefix('input_')}]"
        for part in listed(item, "content")
    ]
    return "\n\n".join(parts).strip()


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1].rstrip() + "…"
