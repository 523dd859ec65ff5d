"""The simulated backend, which `--demo` and the tests use.

`Simulator` speaks the Codex backend's protocol in this process, as strictly as the real one does;
`codexapi_engine.simulator.asgi.app` puts it on a socket. It never stands in for a missing login.

* `backend.py`        the object and its endpoints
* `accounts.py`       accounts, access tokens, and refresh tokens for one use
* `encryption.py`     encrypted reasoning, which only the backend can read
* `checks/`           the rules, with their evidence; `refusals.py` has the bodies
* `scripts.py`        the scripts of a prompt: `[[name argument]]`
* `model_request.py`  a parsed request
* `answers.py`        the output items; `schema.py` writes JSON, `png.py` draws
* `stream.py`         the events of a response
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
