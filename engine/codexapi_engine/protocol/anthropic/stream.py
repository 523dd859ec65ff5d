"""The stream of a reply, with the fast way of plain deltas."""

from __future__ import annotations

from .splice import SplicingMessageStream as MessageStream

__all__ = ["MessageStream"]
