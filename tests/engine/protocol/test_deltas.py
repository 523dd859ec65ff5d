"""Deltas that came together: they must mean what each of them means."""

from __future__ import annotations

import json
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.streams import CUTS, streams
from tests.test_laws import FORMS
from tests.wire_files import NAMES, wire

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import Event, Translator, chat, completions, responses, sse
from codexapi_engine.protocol.chat.splice import Likeness
from codexapi_engine.protocol.choices import Together
from codexapi_engine.protocol.sse import Decoder, Deltas

JsonObject = dict[str, Any]


def decoded(data: bytes, cuts: list[int], *, together: bool) -> list[Event]:
    decoder, places = Decoder(together=together), sorted(cut % (len(data) + 1) for cut in cuts)
    events: list[Event] = []
    for start, stop in pairwise([0, *places, len(data)]):
        events += decoder.feed(data[start:stop])
    return events + decoder.flush()


def said(translator: Translator, events: list[Event]) -> tuple[bytes, str]:
    """All that a translator says, and the error that ends it."""
    out: list[bytes] = []
    try:
        for event in events:
            out.extend(translator.feed(event))
        out.extend(translator.close())
    except CodexError as error:
        return b"".join(out), f"{error.code} {error}"
    return b"".join(out), ""


def meant(out: bytes) -> list[JsonObject | str]:
    """What a client reads of it."""
    lines = [line[6:] for line in out.split(b"\n") if line.startswith(b"data: ")]
    return [json.loads(line) if line != b"[DONE]" else "[DONE]" for line in lines]


def translators() -> list[Translator]:
    asked: list[JsonObject] = [{}, {"stream_options": {"include_obfuscation": False}}]
    made: list[Translator] = [chat.Stream(form, created=1) for form in FORMS]
    made += [responses.Stream(body, created=1) for body in asked]
    made.append(responses.Stream({}, created=1, verbatim=True))
    form = completions.Form(model="m")
    shared = Together(prefix="cmpl-", object="text_completion", model="m", created=1)
    made.append(completions.Stream(form, shared))
    return made


def assert_alike(data: bytes, cuts: list[int]) -> None:
    apart = decoded(data, cuts, together=False)
    joined = decoded(data, cuts, together=True)
    assert [one.raw for event in joined for one in event.each] == [event.raw for event in apart]
    assert sum(event.count for event in joined) == len(apart)
    for one, other in zip(translators(), translators(), strict=True):
        expected, why = said(one, apart)
        got, also_why = said(other, joined)
        assert also_why == why
        if isinstance(one, responses.Stream):
            assert got == expected
        else:
            assert meant(got) == meant(expected)


@pytest.mark.parametrize("cut", [[], [700], list(range(0, 40_000, 331))], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_wire_says_the_same(name: str, cut: list[int]) -> None:
    assert_alike(wire(name), [at for at in cut if at < len(wire(name))])


@given(data=streams(), cuts=CUTS)
def test_a_made_stream_says_the_same(data: bytes, cuts: list[int]) -> None:
    assert_alike(data, cuts)


# Many deltas of one part: what the road is made for.

HEAD = (
    sse.encode({"type": "response.created", "response": {"id": "resp_1"}}, "response.created"),
    sse.encode(
        {"type": "response.output_item.added", "output_index": 0,
         "item": {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""}},
        "response.output_item.added",
    ),
)  # fmt: skip
END = sse.encode(
    {"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}},
    "response.completed",
)
KINDS = (
    ("response.output_text.delta", {"output_index": 1, "content_index": 0}),
    ("response.refusal.delta", {"output_index": 1, "content_index": 0}),
    ("response.reasoning_summary_text.delta", {"output_index": 1, "summary_index": 0}),
    ("response.function_call_arguments.delta", {"output_index": 0}),
    ("response.hologram.delta", {"output_index": 0}),
)


def delta(kind: str, place: JsonObject, literal: str, more: str = "") -> bytes:
    rest = json.dumps({"item_id": "x_1", **place}, separators=(",", ":"))[1:-1]
    return f'event: {kind}\ndata: {{"type":"{kind}","delta":{literal},{rest}{more}}}\n\n'.encode()


LITERALS = st.text(max_size=5).map(json.dumps) | st.sampled_from(
    ['""', '"\\u00e9"', '"\\/"', '"é\u2028"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\\\ud83d"',
     '"\\x"', '"a\tb"', '"id"', '"model"', '"x"', "null", "7", '"a","b"', '"', '"}\\n"', "{}",
     '"{\\"delta\\":\\"y\\"}"', '"\\ue000codexapi\\ue001"']
)  # fmt: skip
MORE = st.sampled_from(
    ["", "", "", ',"sequence_number":5', ',"obfuscation":"q"', ',"logprobs":[]', ',"delta":"z"',
     ',"deep":{"delta":"z"}', ',"sequence_number":007', ',"obfuscation":"\\"', ',"output_index":7']
)  # fmt: skip


@given(
    kind=st.sampled_from(KINDS),
    pieces=st.lists(st.tuples(LITERALS, MORE), min_size=4, max_size=12),
    same=MORE,
    broken=st.none() | st.integers(0, 2000),
    alone=st.booleans(),
)
@example(KINDS[0], [('"a"', "")] * 6, ',"sequence_number":5', None, True)
@example(
    KINDS[0], [('"a"', ""), ('"', ""), (',"b","c"', ""), ('"d"', ""), ('"e"', "")], "", None, False
)
def test_any_deltas_say_the_same(
    kind: tuple[str, JsonObject],
    pieces: list[tuple[str, str]],
    same: str,
    broken: int | None,
    alone: bool,
) -> None:
    each = [delta(*kind, literal, same + more) for literal, more in pieces]
    deltas, first = b"".join(each), sum(map(len, HEAD))
    cuts = list(accumulate(map(len, each), initial=first)) if alone else []
    if broken is not None:
        at = broken % len(deltas)
        deltas = deltas[:at] + b"\xff" + deltas[at + 1 :]
    assert_alike(b"".join([*HEAD, deltas, END]), cuts)


@pytest.mark.parametrize("kind", KINDS[:4], ids=lambda kind: str(kind[0]))
def test_plain_deltas_are_cut_and_not_parsed(kind: tuple[str, JsonObject]) -> None:
    """So that the tests above are of the road that they mean."""
    numbers = range(50)
    pieces = [
        delta(*kind, f'"w{n}"', f',"sequence_number":{n},"obfuscation":"{n}"') for n in numbers
    ]
    (deltas,) = Decoder(together=True).feed(b"".join(pieces))
    assert isinstance(deltas, Deltas)
    likeness = Likeness.of(deltas.each[0])
    assert likeness is not None
    assert likeness.words(deltas) == ([b'"w%d"' % n for n in numbers], [f"w{n}" for n in numbers])


def test_the_bytes_of_an_event_are_in_the_text_in_any_language() -> None:
    event = Event(delta(*KINDS[0], '"é漢🙂"', ',"sequence_number":1').rstrip())
    likeness = Likeness.of(event)
    assert likeness is not None
    assert likeness.words(Deltas(event.raw)) == (['"é漢🙂"'.encode()], ["é漢🙂"])
