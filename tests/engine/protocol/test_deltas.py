"""Deltas that came together: they must mean what each of them means."""

from __future__ import annotations

import json
import random
import re
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.replies import FORMS
from tests.streams import CUTS, streams
from tests.wire_files import NAMES, wire

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import Event, Translator, chat, completions, responses, splice, sse
from codexapi_engine.protocol import json as wire_json
from codexapi_engine.protocol.choices import SharedEnvelope
from codexapi_engine.protocol.splice import DeltaPattern
from codexapi_engine.protocol.sse import Decoder, DeltaBatch

JsonObject = dict[str, Any]


def decoded(data: bytes, cuts: list[int], *, together: bool) -> list[Event]:
    decoder, places = Decoder(coalesce=together), sorted(cut % (len(data) + 1) for cut in cuts)
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
    made: list[Translator] = [form.translator() for several in FORMS.values() for form in several]
    made += [responses.ResponseStream(body, created=1) for body in asked]
    made.append(responses.ResponseStream({}, created=1, verbatim=True))
    form = completions.CompletionOptions(model="m")
    shared = SharedEnvelope(prefix="cmpl-", object="text_completion", model="m", created=1)
    made.append(completions.CompletionStream(form, shared))
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
        if isinstance(one, responses.ResponseStream):
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
@example(
    KINDS[0],
    [*[('"a"', "")] * 4, ('"\\ud83d"', ""), ('"\\uDE00"', ""), ('"a"', "")],
    "",
    None,
    True,
)
@example(KINDS[0], [*[('"a"', "")] * 4, ('"\\ud83d"', ""), ('"\\uDE00"', "")], "", None, False)
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
    (deltas,) = Decoder(coalesce=True).feed(b"".join(pieces))
    assert isinstance(deltas, DeltaBatch)
    likeness = DeltaPattern.of(deltas.each[0])
    assert likeness is not None
    assert likeness.words(deltas) == ([b'"w%d"' % n for n in numbers], [f"w{n}" for n in numbers])


def test_the_bytes_of_an_event_are_in_the_text_in_any_language() -> None:
    event = Event(delta(*KINDS[0], '"é漢🙂"', ',"sequence_number":1').rstrip())
    likeness = DeltaPattern.of(event)
    assert likeness is not None
    assert likeness.words(DeltaBatch(event.encode(), event.type)) == (
        ['"é漢🙂"'.encode()],
        ["é漢🙂"],
    )


# A delta alone in its read, which is the commonest read there is.

NEXT = delta(*KINDS[0], '"b"')
READS = st.sampled_from(
    [NEXT, NEXT, NEXT, delta(*KINDS[0], '"é\\n"'), delta(*KINDS[1], '"c"'), NEXT + NEXT,
     NEXT[:-1], NEXT[:-2], NEXT[:40], NEXT[40:], b"\n", b"\r", b"\r\n", b"", b": note\n\n",
     NEXT.replace(b"\n", b"\r\n"), NEXT.replace(b"\n", b"\r"), NEXT[:-1] + b"\r", NEXT[:-3] + b"\n\n",
     NEXT[:-3] + b'\ndata: ,"x":1}\n\n', NEXT[:-3] + b"\r,}\n\n", NEXT[:-2] + b"\nid: {}\n\n",
     NEXT.replace(b"data: {", b"data: [{"), b"\xef\xbb\xbf" + NEXT, END]
)  # fmt: skip


def fails(event: Event) -> bool:
    try:
        event.check()
    except CodexError:
        return True
    return False


@given(reads=st.lists(READS, max_size=8))
@example([NEXT, b"data: {}\r", NEXT])
@example([NEXT, b"data: {}", NEXT])
@example([NEXT, NEXT[:-3] + b"\n\n"])
@example([NEXT, NEXT[:-5] + b'\xff"}\n\n'])
def test_a_delta_alone_is_framed_like_any_other(reads: list[bytes]) -> None:
    decoder = Decoder(coalesce=True)
    batch = [event for read in reads for event in decoder.feed(read)]
    for event in batch:  # what passes unread is looked at as each of them is
        assert fails(event) == any(fails(one) for one in event.each)
    got = [one for event in batch for one in event.each]
    got += decoder.flush()
    expected = decoded(b"".join(reads), [], together=False)
    assert [(one.raw, one.data) for one in got] == [(one.raw, one.data) for one in expected]
    assert [one.data for one in got] == [Event(one.raw).data for one in expected]


@pytest.mark.parametrize("last", [NEXT, b"data: {}\n\n"], ids=["alike", "another"])
def test_a_read_of_a_delta_alone_is_passed_on_and_not_copied(last: bytes) -> None:
    decoder = Decoder(coalesce=True)
    decoder.feed(b"".join(HEAD))
    decoder.feed(NEXT)
    (event,) = decoder.feed(last)
    assert (event.encode() is last) == (last is NEXT)
    assert event.count == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_first_of_several_may_be_taken(count: int) -> None:
    (deltas,) = Decoder(coalesce=True).feed(NEXT * count)
    assert isinstance(deltas, DeltaBatch)
    first, rest = deltas.parted()
    assert (first.type, first.encode(), first.json) == (KINDS[0][0], NEXT, Event(NEXT[:-2]).json)
    assert (rest is None) == (count == 1)
    if rest is not None:
        assert (rest.type, rest.encode(), rest.count) == (first.type, NEXT * (count - 1), count - 1)


class Counted:
    """A pattern that keeps count of where it was tried."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self.tried: list[int] = []

    def match(self, data: bytes, start: int = 0) -> re.Match[bytes] | None:
        self.tried.append(start)
        return self._pattern.match(data, start)


HOSTILE = {
    "of two names": NEXT + NEXT.replace(b"output_text", b"refusal"),
    "alike for long, and then not": NEXT * 50 + NEXT[:-3] + b"\n\n",
    "not plain": NEXT[:-3] + b"\n\n",
    "of two lines": NEXT[:-2] + b"\ndata: {}\n\n",
    "half a head": b"event: a.delta\n" * 9 + b"\n",
    "nothing": b"event: a.delta\ndata: {\n\n\n\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_nothing_is_tried_twice(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts tries and not seconds: what is tried at a place is not tried there again."""
    heads, deltas = Counted(sse._HEAD), Counted(sse._DELTAS)
    monkeypatch.setattr(sse, "_HEAD", heads)
    monkeypatch.setattr(sse, "_DELTAS", deltas)
    events = Decoder(coalesce=True).feed(data * 20)
    for counted in (heads, deltas):
        assert len(counted.tried) == len(set(counted.tried))
        assert len(counted.tried) <= 1 + (data * 20).count(b"\n\n")
    assert sum(event.count for event in events) == len(decoded(data * 20, [], together=False))


# What is known of one event's like is known of all, whatever stream they are of.

MEMBERS = ("delta", "item_id", "obfuscation", "sequence_number", "deep", "other")
VALUES = st.sampled_from(
    ['"x"', '"y"', '"a b"', '"\\""', '"\\\\"', '""', '"\\u00e9"', "7", "8", "0", "007", "-1", "7.5",
     "null", '{"delta":"x"}', '{"item_id":"x"}', '{"item_id":"y"}', '["x"]', '"\\"delta\\":"',
     '"x","item_id":"z"', '"a\\', '",', '"x"}', '"\x01"']
)  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> Event:
    members = draw(st.lists(st.tuples(st.sampled_from(MEMBERS), VALUES), min_size=1, max_size=5))
    data = ",".join(f'"{name}":{value}' for name, value in members)
    return Event(f"event: a.delta\ndata: {{{data}}}".encode())


def test_several_deltas_are_asked_one_by_one() -> None:
    deltas = DeltaBatch(b'event: a.delta\ndata: {"delta":"x"}\n\n' * 2, "a.delta")
    for ask in (lambda: deltas.data, lambda: deltas.json, lambda: deltas.parsed_lazily):
        with pytest.raises(TypeError, match="ask each"):
            ask()
    assert [one.json for one in deltas.each] == [{"delta": "x"}] * 2


def as_deltas(event: Event) -> DeltaBatch:
    return DeltaBatch(event.encode(), event.type, 1)


@given(event=events(), others=st.lists(events(), max_size=4), shuffled=st.randoms())
@example(
    Event(b'event: a.delta\ndata: {"delta":"x","deep":{"item_id":"x"}}'),
    [Event(b'event: a.delta\ndata: {"delta":"x","deep":{"item_id":"y"}}')],
    random.Random(1),
)
@example(
    Event(b'event: a.delta\ndata: {"delta":"x","deep":{"delta":"x"}}'),
    [Event(b'event: a.delta\ndata: {"delta":"x","deep":{"delta":"y"}}')],
    random.Random(1),
)
@example(
    Event(b'event: a.delta\ndata: {"a\\"delta":"x","delta":"x"}'),
    [Event(b'event: a.delta\ndata: {"a\\"delta":"y","delta":"x"}')],
    random.Random(1),
)
@example(
    Event(b'event: a.delta\ndata: {"delta":"x","delta":"x" }'),
    [Event(b'event: a.delta\ndata: {"delta":"y","delta":"x" }')],
    random.Random(1),
)
@example(
    Event(b'event: a.delta\ndata: {"delta":"y","delta":"y" }'),
    [Event(b'event: a.delta\ndata: {"delta":"x","delta":"y" }')],
    random.Random(1),
)
def test_what_is_alike_means_the_same_but_for_what_varies(
    event: Event, others: list[Event], shuffled: random.Random
) -> None:
    varies = ("delta", "item_id", "obfuscation", "sequence_number")
    if (likeness := DeltaPattern.of(event)) is None:
        return
    # Strangers, and the same with other values in its places.
    values = [b'"x"', b'"y"', b"7", b'"\\"a,"', b'"\\\\"', b'"\\""', b'"delta"', b'"}"']
    changed = [
        Event(
            re.sub(rb'(?<=":)(?:"\w*"|\d+)(?=[,}])', lambda _: shuffled.choice(values), event.raw)
        )
        for _ in range(4)
    ]
    for other in [*others, *changed]:
        if (words := likeness.words(as_deltas(other))) is not None:
            same = {name: value for name, value in event.json.items() if name not in varies}
            data = json.loads(other.data)
            assert {name: data[name] for name in data if name not in varies} == same
            assert words[1] == [data["delta"]]
            assert json.loads(words[0][0]) == data["delta"]


def known() -> int:
    """How often something was learnt that was not known."""
    return splice._pattern.cache_info().misses


def test_the_next_stream_has_nothing_to_learn() -> None:
    def play(words: str, name: str, tier: str | None = None) -> bytes:
        each = [
            delta(*KINDS[0], f'"{words}{n}"', f',"sequence_number":{n},"obfuscation":"{words}"')
            for n in range(6)
        ]
        first = sse.encode(
            {"type": "response.created", "response": {"id": name}}, "response.created"
        )
        data = first + b"".join(each).replace(b"x_1", name.encode()) + END
        out, why = said(
            chat.ChatStream(chat.ReplyOptions("m", service_tier=tier)),
            decoded(data, [], together=True),
        )
        assert not why
        return out

    play("a", "resp_1")
    before = known()
    assert b'"content":"b5"' in play("b", "resp_2", "priority")
    assert known() == before


def test_what_cannot_be_learnt_is_tried_less_and_less_often() -> None:
    each = [delta(*KINDS[0], '"a"', f',"logprobs":[{n}]') for n in range(128)]
    before = known()
    data = b"".join([*HEAD, *each, END])
    cuts = list(accumulate(map(len, each), initial=sum(map(len, HEAD))))
    out, why = said(chat.ChatStream(chat.ReplyOptions("m")), decoded(data, cuts, together=True))
    assert (out.count(b'"content":"a"'), why) == (128, "")
    assert 0 < known() - before < 8


def test_another_part_is_learnt_at_once_whatever_was_before_it() -> None:
    stream = chat.ChatStream(chat.ReplyOptions("m"))
    unwanted, four = delta(*KINDS[2], '"a"'), NEXT * 4
    for _ in range(9):
        for event in decoded(
            unwanted * 40, list(range(0, 40 * len(unwanted), len(unwanted))), together=True
        ):
            assert list(stream.feed(event)) == []
        list(stream.feed(Event(HEAD[1].rstrip())))
        for event in decoded(four, list(range(0, len(four), len(NEXT))), together=True):
            list(stream.feed(event))
        assert stream._splicer._run is not None


def test_an_envelope_that_is_told_late_is_in_the_next_delta() -> None:
    form = chat.ReplyOptions("m")
    shared = chat.reply.shared_envelope(form, created=1)
    stream = chat.ChatStream(form, shared=shared)
    for event in decoded(NEXT * 6, [len(NEXT) * n for n in range(1, 6)], together=True):
        early = b"".join(stream.feed(event))
    assert stream._splicer._run is not None
    shared.adopt({"id": "resp_7"})
    late = b"".join(stream.feed(event))
    assert late == early.replace(b'"id":"chatcmpl-"', b'"id":"chatcmpl-7"') != early


def test_what_is_known_is_bounded() -> None:
    for n in range(2 * splice.KNOWN):
        assert DeltaPattern.of(Event(delta(*KINDS[0], '"a"', f',"x":{n}').rstrip())) is not None
    assert splice._pattern.cache_info().currsize <= splice.KNOWN
    long = ',"x":"%s"' % ("y" * splice.MAX_SKELETON_BYTES)
    before = known()
    assert DeltaPattern.of(Event(delta(*KINDS[0], '"a"', long).rstrip())) is None
    assert known() == before, "for what is long is not kept"


TEXTS = st.text('ax:"\\]}{,é\ue000', max_size=4)


@given(text=TEXTS, piece=TEXTS, shape=st.sampled_from(["plain", "call", "more", "list"]))
@example('a:"x', "x", "plain")
@example('a"x', "x", "plain")
@example("x]}", "x]}", "call")
def test_the_halves_of_a_delta_are_cut_where_its_words_are(
    text: str, piece: str, shape: str
) -> None:
    shapes: dict[str, JsonObject] = {
        "plain": {"content": text},
        "call": {"tool_calls": [{"index": 0, "function": {"arguments": text}}]},
        "more": {"content": piece, "refusal": text},
        "list": {"content": ["a", text]},
    }
    made = shapes[shape]
    ready = splice.around_text(wire_json.dumps(made), piece)
    if shape == "list":
        assert ready is None
    else:
        assert (ready is not None) == (text == piece)
    if ready is not None:
        assert ready[0] + wire_json.dumps(piece) + ready[1] == wire_json.dumps(made)
