"""The text of a stream, piece by piece, and the parts of items that its events name."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import JsonObject, StreamInterrupted
from ..shapes import get_dict, get_int, get_list, get_str
from ..sse import Event
from .announce import DONE
from .texts import ANSWER_ROLES, DELTAS, ENDS, Role, TextForm, complete_text, role_of

ANSWER_ENDS = frozenset({"response.completed", "response.done", "response.incomplete"})
"""The last events of an answer. `response.done` is an old name of `response.completed`
(`tests/wires/response_done_alias.sse`)."""

_REASONING: tuple[Role, ...] = ("reasoning",)


class StreamedParts:
    """What has been streamed of each part, so that its final form adds only what is missing.

    Some models send no deltas for a part (`tests/wires/no_text_deltas.sse`), and some not all of
    them (`tests/wires/some_deltas_missing.sse`).
    """

    def __init__(self) -> None:
        self._streamed: dict[object, list[str]] = {}

    def delta(self, part: object, piece: str) -> str:
        self._streamed.setdefault(part, []).append(piece)
        return piece

    def rest(self, part: object, whole: str) -> str:
        """What of `whole` was not streamed. Nothing where the two disagree: what is written
        cannot be taken back."""
        so_far = "".join(self._streamed.get(part, ()))
        self._streamed[part] = [whole]
        return whole[len(so_far) :] if whole.startswith(so_far) else ""


class DoneItems:
    """The items of a stream that are done."""

    def __init__(self) -> None:
        self._keys: set[object] = set()  # by id, or else by index
        self._places: set[tuple[int, str]] = set()

    def add(self, item: JsonObject, index: int) -> bool:
        """False for an item that has been told already."""
        name = get_str(item, "id")
        if (index, name) in self._places:
            return False
        self._places.add((index, name))
        self._keys.add(name or index)
        return True

    def has(self, item: JsonObject, index: int) -> bool:
        """Whether an item of the last event's list was done before, wherever it stood."""
        return (get_str(item, "id") or index) in self._keys


class Text:
    """The text of a stream, piece by piece: what a terminal prints."""

    def __init__(self) -> None:
        self._pieces = StreamedParts()
        self._spoke = False
        self._message: object = None  # the item that is being printed

    def feed(self, event: Event) -> str:
        """The next piece, often empty. A second message begins with a blank line
        (`tests/wires/two_messages.sse`)."""
        kind = event.type
        if _is_of(ANSWER_ROLES, DELTAS, kind):
            piece = self._pieces.delta(part_of(event.json), delta_of(event.json))
            return self._with_gap(get_int(event.json, "output_index"), piece)
        if _is_of(ANSWER_ROLES, ENDS, kind):
            piece = self._pieces.rest(part_of(event.json), complete_text(event.json))
            return self._with_gap(get_int(event.json, "output_index"), piece)
        if kind == DONE:
            return self._rest_of_item(
                get_int(event.json, "output_index"), get_dict(event.json, "item")
            )
        if (
            kind in ANSWER_ENDS and not self._spoke
        ):  # some send their items only at the end (`tests/wires/output_only_at_the_end.sse`)
            items = output_of(get_dict(event.json, "response"))
            return "".join(self._rest_of_item(index, item) for index, item in enumerate(items))
        return ""

    def _rest_of_item(self, index: int | None, item: JsonObject) -> str:
        """The rest of a message that was not streamed. Some models stream nothing of it
        (`tests/wires/no_text_deltas.sse`)."""
        if item.get("type") != "message":
            return ""
        return "".join(
            self._with_gap(index, self._pieces.rest((index, None, n), text))
            for n, text in enumerate(_part_texts(item, "content", ANSWER_ROLES))
        )

    def _with_gap(self, index: int | None, piece: str) -> str:
        if not piece:
            return ""
        gap = "\n\n" if self._spoke and self._message != index else ""
        self._spoke, self._message = True, index
        return gap + piece


class ReasoningText:
    """The reasoning of a stream, piece by piece, a blank line between its parts."""

    def __init__(self) -> None:
        self._pieces = StreamedParts()
        self._part_of: object = None  # the current one

    def feed(self, event: Event) -> str:
        """The next piece, often empty."""
        kind = event.type
        if (
            kind == DONE
        ):  # some models stream nothing of it (`tests/wires/items_only_when_done.sse`)
            return self._rest_of_item(
                get_int(event.json, "output_index"), get_dict(event.json, "item")
            )
        if _is_of(_REASONING, DELTAS, kind):
            part = part_of(event.json)
            return self._with_gap(part, self._pieces.delta(part, delta_of(event.json)))
        if _is_of(_REASONING, ENDS, kind):
            part = part_of(event.json)
            return self._with_gap(part, self._pieces.rest(part, complete_text(event.json)))
        return ""

    def _rest_of_item(self, index: int | None, item: JsonObject) -> str:
        if item.get("type") != "reasoning":
            return ""
        summaries = enumerate(_part_texts(item, "summary", _REASONING))
        texts: list[tuple[Part, str]] = [((index, n, None), text) for n, text in summaries]
        contents = enumerate(_part_texts(item, "content", _REASONING))
        texts += [((index, None, n), text) for n, text in contents]
        return "".join(self._with_gap(part, self._pieces.rest(part, text)) for part, text in texts)

    def _with_gap(self, part: object, piece: str) -> str:
        if not piece:
            return ""
        gap = "\n\n" if self._part_of not in (None, part) else ""
        self._part_of = part
        return gap + piece


def delta_of(data: JsonObject) -> str:
    """The text of a delta. Raises StreamInterrupted if there is none: the gap would be unnoticed."""
    delta = data.get("delta")
    if not isinstance(delta, str):
        raise StreamInterrupted(
            "the backend sent a delta that is no text", code="upstream_protocol_error"
        )
    return delta


Part = tuple[int | None, int | None, int | None]
"""Which part of which item: the indices of the item, of the summary, of the content."""


def index_of(data: JsonObject) -> int:
    """The index of the item of an event."""
    return get_int(data, "output_index") or 0


def part_of(data: JsonObject) -> Part:
    """Which part of which item an event is about."""
    return (
        get_int(data, "output_index"),
        get_int(data, "summary_index"),
        get_int(data, "content_index"),
    )


def text_of(response: JsonObject) -> str:
    """The text of a finished response: its messages, with a blank line between them."""
    return "\n\n".join(
        text for item in get_list(response, "output") if (text := _message_text(item))
    )


def output_of(response: JsonObject) -> list[JsonObject]:
    """The output in a lifecycle event; often empty (`tests/wires/text.sse`)."""
    return get_list(response, "output")


def _message_text(item: JsonObject) -> str:
    if item.get("type") != "message":
        return ""
    return "".join(_part_texts(item, "content", ANSWER_ROLES))


def _part_texts(item: JsonObject, field: str, roles: tuple[Role, ...]) -> list[str]:
    """The texts of an item's parts; empty for one that has another role. A part of a type that is
    not known is what its item is."""
    return [
        complete_text(part) if role_of(part) in (None, *roles) else ""
        for part in get_list(item, field)
    ]


def _is_of(roles: tuple[Role, ...], events: Mapping[str, TextForm], kind: str) -> bool:
    return kind in events and events[kind].role in roles
