"""Checks a request by the rules of the real backend, and refuses it with the real bodies.

Bodies that no report shows are those of the public API. Raises `Refused` for the first rule that a
request breaks.

* `table.py`       the rules, each with its evidence, and how they are switched off
* `forms.py`       what must hold before a rule can read the body
* `items.py`, `tools.py`, `options.py`, `pictures.py`, `search.py`   the rules themselves
* `submission.py`  the request as a rule sees it
"""

from __future__ import annotations

from collections.abc import Collection

from ...errors import JsonObject
from .forms import check_images, check_run, check_search
from .options import UNVERSIONED, needed, version_of
from .submission import LITE, Submission
from .table import EDIT_RULES, NAMES, RULES, SEARCH_RULES, apply, listing_of_rules, unknown_rules

__all__ = [
    "LITE",
    "NAMES",
    "UNVERSIONED",
    "Submission",
    "check",
    "check_image_request",
    "check_search_request",
    "listing_of_rules",
    "needed",
    "unknown_rules",
    "version_of",
]


def check(submission: Submission, lenient: Collection[str]) -> None:
    """Raises Refused unless the real backend would run this request."""
    check_run(submission)
    apply(RULES, submission, lenient)


def check_image_request(body: JsonObject, *, edit: bool, lenient: Collection[str]) -> None:
    check_images(body, edit=edit)
    if edit:
        apply(EDIT_RULES, Submission(body), lenient)


def check_search_request(body: JsonObject, lenient: Collection[str]) -> None:
    check_search(body)
    apply(SEARCH_RULES, Submission(body), lenient)
