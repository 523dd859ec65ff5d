"""The simulated backend: what `--demo` and the tests talk to.

`Simulator` speaks the Codex backend's protocol in this process, as strictly as the real one does;
`codexapi_engine.simulator.asgi.app` puts it on a socket. It never stands in for a missing login.

* `backend.py`   the object, its endpoints
* `accounts.py`  who may ask: tokens, and refresh tokens for one use
* `encryption.py`  what a model thought, readable for the backend alone
* `checks/`      what is refused, and how that is known; `refusals.py` has the bodies
* `scripts.py`   what a prompt can ask for: `[[name argument]]`
* `asked.py`     a request, read
* `answers.py`   what is said; `schema.py` writes JSON, `png.py` draws
* `stream.py`    how it is sent
"""

from __future__ import annotations

from .backend import MAX_BODY, Simulator
from .checks import NAMES, listing_of_rules, unknown_rules
from .scripts import SCRIPTS, listing

__all__ = [
    "MAX_BODY",
    "NAMES",
    "SCRIPTS",
    "Simulator",
    "listing",
    "listing_of_rules",
    "unknown_rules",
]
