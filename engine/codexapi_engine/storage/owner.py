"""The owner of an item: the account and model whose encrypted content it has.

Several clients report that the backend refuses a whole request for one item of another owner
(`invalid_encrypted_content`), and a client that never saw the item cannot remove it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ..errors import JsonObject
from ..protocol.responses.items import family, kind_of
from ..protocol.shapes import get_str


class Owner(NamedTuple):
    """The account and the model that an answer is of, or is asked of. "" is unknown, and taken for
    the present one: what was kept before owners were is nearly always of the same login."""

    account: str  # a hash: the id itself stays with the login
    model: str

    @classmethod
    def of(cls, account_id: str | None, model: str) -> Owner:
        return cls(_account(account_id), family(model))

    @classmethod
    def read(cls, row: JsonObject) -> Owner:
        """The owner that stands in an object of the store."""
        return cls(get_str(row, "account"), family(get_str(row, "model")))

    def with_account(self, account_id: str | None) -> Owner:
        """The same model, of the account that answered."""
        return Owner.of(account_id, self.model)

    def can_send(self, item: JsonObject, writer: Owner) -> bool:
        """Whether the backend would take an item that `writer` got.

        Reasoning is bound to its model too. A compaction is not: it stands for the whole
        conversation, which may go on with another model.
        """
        same_account = not (self.account and writer.account) or self.account == writer.account
        if kind_of(item) == "reasoning":
            return same_account and writer.model in ("", self.model)
        return same_account or not item.get("encrypted_content")

    def sendable(self, items: Iterable[JsonObject], writer: Owner) -> list[JsonObject]:
        return [item for item in items if self.can_send(item, writer)]


@lru_cache(8)  # every request asks for the same one
def _account(account_id: str | None) -> str:
    return hashlib.sha256(account_id.encode()).hexdigest()[:32] if account_id else ""


UNKNOWN = Owner("", "")
