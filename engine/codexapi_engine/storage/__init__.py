"""Stored state: responses, conversations, chats, and the reasoning before tool calls.

* `sqlite.py`         JSON objects by kind and id, bounded, in memory or in one SQLite file
* `responses.py`      stored responses, and the history that `previous_response_id` stands for
* `conversations.py`  conversations and their items
* `chats.py`          stored chat completions
* `files.py`          stored files, each of one account
* `reasoning.py`      the encrypted reasoning before a tool call, for clients that cannot send it
* `state.py`          all of these, as a server keeps them
* `owner.py`          the account and model that encrypted content belongs to

It knows nothing of HTTP or of the backend. Nothing here leaves this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..protocol.first_use import on_first_use

if TYPE_CHECKING:
    from .files import no_such_file
    from .names import new_id
    from .owner import Owner
    from .reasoning import Reasoning
    from .responses import listable
    from .sqlite import ObjectStore
    from .state import State, Turn

__all__ = [
    "ObjectStore",
    "Owner",
    "Reasoning",
    "State",
    "Turn",
    "listable",
    "new_id",
    "no_such_file",
]

__getattr__ = on_first_use(
    __name__, __all__, ("owner", "names", "reasoning", "sqlite", "files", "responses", "state")
)
