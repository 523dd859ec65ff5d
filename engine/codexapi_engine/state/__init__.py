"""What outlives a request: stored responses, conversations, chats, and the reasoning behind calls.

* `shelf.py`          JSON objects by kind and id, bounded, in memory or in one SQLite file
* `responses.py`      stored responses, and the history that `previous_response_id` stands for
* `conversations.py`  conversations and their items
* `chats.py`          stored chat completions
* `reasoning.py`      the encrypted reasoning before a tool call, for clients that cannot carry it

Knows nothing of HTTP or of the backend. Nothing here leaves this machine.
"""

from __future__ import annotations

from .reasoning import Reasoning
from .shelf import Shelf

__all__ = ["Reasoning", "Shelf"]
