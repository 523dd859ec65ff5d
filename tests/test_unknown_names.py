"""What the backend adds passes unharmed in each dialect: any field, event or item, in any wire."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fake_codex import messages_from
from tests.replies import FORMS, ReplyForm
from tests.streams import JSON
from tests.wire_files import NAMES, events, translated, wire

from codexapi_engine.protocol import JsonObject, Translator, completions, json, responses, sse
from codexapi_engine.protocol.choices import SharedEnvelope
from codexapi_engine.protocol.responses.reply import LIFECYCLE, TERMINAL
from codexapi_engine.protocol.sse import Event
from codexapi_engine.unknown import UnknownNames
from codexapi_http.websocket.frames import FrameSink

MARK = "x_added_"
"""How each name begins that is added."""

REPLACED = "deltas_without_their_item"
"""Its deltas come before their item: public clients get deltas of our own in their place."""

NO_PLACE = 1000
"""An index that no wire has."""

Names = st.text("abcdefghij_", min_size=1, max_size=6).map(lambda text: MARK + text)


@dataclass(frozen=True)
class Field:
    """A field in an object of an event, both by number."""

    event: int
    holder: int
    name: str
    value: Any


@dataclass(frozen=True)
class Insertion:
    """An event, or an item that is added and done, before an event."""

    before: int
    name: str
    value: Any
    is_item: bool


additions = st.lists(
    st.builds(Field, st.integers(0, 500), st.integers(0, 500), Names, JSON)
    | st.builds(Insertion, st.integers(0, 500), Names, JSON, st.booleans()),
    min_size=1,
    max_size=4,
)
wires = st.sampled_from(NAMES)


def readable(event: Event) -> bool:
    return event.data != b"[DONE]"


def changed(stream: list[Event], changes: list[Field | Insertion]) -> list[Event]:
    """The stream with what was added to it."""
    data = {id(event): copy.deepcopy(event.json) for event in stream if readable(event)}
    bodies = list(data.values())
    inserted: dict[int, list[JsonObject]] = {}
    # What follows the last event is never read.
    ends = next((n for n, e in enumerate(stream) if e.type in TERMINAL), len(stream) - 1)
    for change in changes:
        if isinstance(change, Field):
            holders = list(objects(bodies[change.event % len(bodies)]))
            holders[change.holder % len(holders)][change.name] = change.value
        else:
            place = inserted.setdefault(1 + change.before % max(ends, 1), [])
            place += inserts(change, NO_PLACE + len(place) + 100 * change.before)
    out: list[Event] = []
    for number, event in enumerate(stream):
        if number <= ends:
            out += [encoded(body) for body in inserted.get(number, ())]
        same = not readable(event) or data[id(event)] == event.json
        out.append(Event(event.raw) if same else encoded(data[id(event)], event.type))
    return out


def inserts(change: Insertion, place: int) -> Iterator[JsonObject]:
    if not change.is_item:
        yield {"type": f"response.{change.name}", "payload": change.value}
        return
    item = {"type": change.name, "id": f"{change.name}_{place}", "payload": change.value}
    for kind in ("added", "done"):
        yield {"type": f"response.output_item.{kind}", "output_index": place, "item": item}


def objects(value: Any) -> Iterator[JsonObject]:
    if isinstance(value, dict):
        yield value
    for member in value.values() if isinstance(value, dict) else value:
        if isinstance(member, dict | list):
            yield from objects(member)


def encoded(body: JsonObject, kind: str | None = None) -> Event:
    return Event(sse.encode(body, kind or body["type"])[:-2])


def everywhere(stream: list[Event]) -> list[Field | Insertion]:
    """A field in every object, and an event and an item between any two."""
    sizes = [len(list(objects(event.json))) for event in stream if readable(event)]
    fields = [
        Field(at, n, f"{MARK}{n}", {"é": [n]}) for at, size in enumerate(sizes) for n in range(size)
    ]
    events_between = [Insertion(at, f"{MARK}event", at, False) for at in range(len(stream))]
    items_between = [Insertion(at, f"{MARK}item", at, True) for at in range(len(stream))]
    return [*fields, *events_between, *items_between]


def passed_on(stream: list[Event], *, verbatim: bool) -> tuple[list[JsonObject], str]:
    translator = responses.ResponseStream({}, created=1, verbatim=verbatim)
    out, error = translated(stream, translator)
    return [event.json for event in events(out) if readable(event)], repr(error)


def stripped(value: Any) -> Any:
    """Without what was added, and without the numbers, which it shifts."""
    if isinstance(value, list):
        return [stripped(member) for member in value if not is_added(member)]
    if isinstance(value, dict):
        return {
            name: stripped(inside)
            for name, inside in value.items()
            if not name.startswith(MARK) and name != "sequence_number"
        }
    return value


def is_added(value: Any) -> bool:
    """Whether it is an event or an item that was added, or an event of such an item."""
    return isinstance(value, dict) and (
        MARK in str(value.get("type")) or is_added(value.get("item"))
    )


def marks(value: Any) -> list[str]:
    """What was added to it, and where, as texts."""
    if isinstance(value, list):
        return [mark for member in value for mark in marks(member)]
    if not isinstance(value, dict):
        return []
    own = [repr((name, inside)) for name, inside in value.items() if name.startswith(MARK)]
    inner = (marks(inside) for name, inside in value.items() if not name.startswith(MARK))
    return own + [mark for each in inner for mark in each]


def check_responses(name: str, changes: list[Field | Insertion], verbatim: bool) -> None:
    """What passed before passes with all that was added, and what was added is not lost."""
    stream = events(wire(name))
    altered = changed(stream, changes)
    expected, failure = passed_on(stream, verbatim=verbatim)
    answers, same_failure = passed_on(altered, verbatim=verbatim)
    assert same_failure == failure
    assert stripped(answers) == stripped(expected)
    if name == REPLACED and not verbatim:
        return
    passing = [json.dumps(one) for one in stripped(expected)]
    reached = {(json.dumps(stripped(answer)), *marks(answer)) for answer in answers}
    for event in altered:
        if not readable(event):
            continue
        plain = json.dumps(stripped(event.json))
        if is_added(event.json) or plain in passing:
            assert (plain, *marks(event.json)) in reached, event.json


@pytest.mark.parametrize("verbatim", [False, True], ids=["", "verbatim"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_added_everywhere_passes_on_the_responses_road(name: str, verbatim: bool) -> None:
    check_responses(name, everywhere(events(wire(name))), verbatim)


@given(name=wires, changes=additions, verbatim=st.booleans())
def test_what_is_added_passes_on_the_responses_road(
    name: str, changes: list[Field | Insertion], verbatim: bool
) -> None:
    check_responses(name, changes, verbatim)


@given(name=wires, changes=additions)
def test_what_is_added_to_the_response_object_stays_in_it(
    name: str, changes: list[Field | Insertion]
) -> None:
    altered = changed(events(wire(name)), changes)
    answers, failure = passed_on(altered, verbatim=False)
    if failure != "None":
        return
    (last,) = [event.json for event in altered if event.type in LIFECYCLE & TERMINAL]
    answer = [one for one in answers if one["type"] in LIFECYCLE][-1]
    for holder, kept in ((last, answer), (last["response"], answer["response"])):
        for added in holder:
            assert not added.startswith(MARK) or kept[added] == holder[added]


@given(name=wires, changes=additions)
def test_a_websocket_s_frames_are_the_events_of_the_responses_road(
    name: str, changes: list[Field | Insertion]
) -> None:
    altered = changed(events(wire(name)), changes)
    out, _ = translated(altered, responses.ResponseStream({}, created=1))
    frames = FrameSink(cast(Any, None), "", for_codex=False).frames(out)
    assert list(messages_from(io.BytesIO(frames))) == passed_on(altered, verbatim=False)[0]


def completion() -> Translator:
    shared = SharedEnvelope(prefix="cmpl-", object="text_completion", model="asked", created=1)
    return completions.CompletionStream(completions.CompletionOptions("asked"), shared)


def every_form() -> list[ReplyForm]:
    return [form for forms in FORMS.values() for form in forms]


@given(name=wires, changes=additions, form=st.sampled_from(every_form()))
def test_what_is_added_changes_nothing_in_another_dialect(
    name: str, changes: list[Field | Insertion], form: ReplyForm
) -> None:
    stream = events(wire(name))
    altered = changed(stream, changes)
    for make in (form.translator, form.usual_translator, completion):
        expected, error = translated(stream, make())
        out, failure = translated(altered, make())
        assert out == expected
        assert (type(failure), str(failure)) == (type(error), str(error))


@given(name=wires, changes=additions)
def test_each_event_and_item_that_was_added_is_counted_by_its_name_alone(
    name: str, changes: list[Field | Insertion]
) -> None:
    unknown = UnknownNames()
    inserted = [change for change in changes if isinstance(change, Insertion)]
    for event in changed(events(wire(name)), changes):
        if event.type not in unknown.settled:
            unknown.event(event)
        if event.type in TERMINAL:
            break
    for change in inserted:
        kind = "item" if change.is_item else "event"
        told = change.name if change.is_item else f"response.{change.name}"
        same = [one for one in inserted if (one.name, one.is_item) == (change.name, change.is_item)]
        assert unknown.counts[kind][told] >= len(same)
    known_kinds = {"event", "item", "part", "field", "error"}
    assert unknown.counts.keys() <= known_kinds
    assert json.dumps(unknown.counts)
