"""Deltas that came together: they must mean what each of them means."""

from __future__ import annotations

import inspect
import json
import random
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.replies import FORMS, ReplyForm
from tests.streams import CUTS, streams
from tests.wire_files import NAMES, pieces, wire

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import Event, Translator, chat, completions, responses, sse
from codexapi_engine.protocol import json as wire_json
from codexapi_engine.protocol.choices import SharedEnvelope
from codexapi_engine.protocol.plain_deltas import PlainDeltas
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
        assert got == expected


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


def test_several_deltas_are_asked_one_by_one() -> None:
    deltas = DeltaBatch(b'event: a.delta\ndata: {"delta":"x"}\n\n' * 2, "a.delta")
    for ask in (lambda: deltas.data, lambda: deltas.json, lambda: deltas.parsed_lazily):
        with pytest.raises(TypeError, match="ask each"):
            ask()
    assert [one.json for one in deltas.each] == [{"delta": "x"}] * 2


# The fast way: it says what the long one says, byte by byte, and knows when to leave it alone.

every_dialect = pytest.mark.parametrize("dialect", FORMS)


def reads(data: bytes, cuts: Iterable[int]) -> list[list[Event]]:
    decoder = Decoder(coalesce=True)
    return [*(decoder.feed(piece) for piece in pieces(data, cuts)), decoder.flush()]


def stream_of(data: bytes, cuts: Iterable[int]) -> list[Event]:
    return [event for batch in reads(data, cuts) for event in batch]


def assert_same_bytes(data: bytes, cuts: Iterable[int], *forms: ReplyForm) -> None:
    stream = stream_of(data, cuts)
    for form in forms:
        usual = said(form.usual_translator(), stream)
        assert said(form.translator(), stream) == usual


@every_dialect
def test_the_fast_way_is_one_file_and_one_line(dialect: str) -> None:
    """Without both, the program is the one that the tests below compare it with."""
    fast, usual = type(FORMS[dialect][0].translator()), type(FORMS[dialect][0].usual_translator())
    assert issubclass(fast, usual)
    assert fast is not usual
    file, parent = Path(inspect.getfile(fast)), Path(inspect.getfile(usual)).parent
    assert file == parent / "splice.py"
    lines = [
        line
        for path in parent.rglob("*.py")
        for line in path.read_text().splitlines()
        if "splice" in line and "import" in line
    ]
    assert lines == [f"from .splice import {fast.__name__} as {usual.__name__}"]


def test_no_other_module_imports_a_fast_way() -> None:
    package = Path(inspect.getfile(chat)).parents[2]
    files = [path for path in package.rglob("*.py") if "splice import" in path.read_text()]
    assert len(files) == len(FORMS), "each dialect of FORMS imports its splice.py in one place"


@pytest.mark.parametrize("name", NAMES)
def test_a_wire_cut_anywhere_gives_the_same_bytes_without_the_fast_way(name: str) -> None:
    """Each place within its deltas; elsewhere nothing is spliced, and a few places are enough. That
    the long way gives the same wherever the wire is cut is the first law of `tests/test_laws.py`.
    All dialects at once: they read the same events."""
    data, forms = wire(name), [form for form, *_ in FORMS.values()]
    deltas = [found.span() for found in re.finditer(rb"event: [a-z_.]+\.delta\n.*\n\n", data)]
    places = {at for start, stop in deltas for at in range(start, stop + 1)}
    whole = stream_of(data, [])
    usual = [said(form.usual_translator(), whole) for form in forms]
    for cut in sorted(places | set(range(0, len(data), 997))):
        stream = stream_of(data, [cut])
        assert [said(form.translator(), stream) for form in forms] == usual, cut


@pytest.mark.parametrize("name", NAMES)
def test_a_wire_in_many_pieces_gives_the_same_bytes_without_the_fast_way(name: str) -> None:
    data, chance = wire(name), random.Random(name)
    assert_same_bytes(data, range(len(data)), *(form for form, *_ in FORMS.values()))
    forms = [form for several in FORMS.values() for form in several]
    assert_same_bytes(data, [], *forms)
    for turn in range(20):  # each form at five of them
        cuts = [chance.randrange(len(data)) for _ in range(20)]
        assert_same_bytes(data, cuts, *forms[turn % 4 :: 4])


@given(
    data=streams(), cuts=CUTS, form=st.sampled_from(list(FORMS.values())).flatmap(st.sampled_from)
)
def test_a_made_stream_gives_the_same_bytes_without_the_fast_way(
    data: bytes, cuts: list[int], form: ReplyForm
) -> None:
    assert_same_bytes(data, cuts, form)


@every_dialect
def test_plain_deltas_of_a_part_that_has_begun_are_not_parsed(
    dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"".join(plain_delta(RECORDED, delta=f'"w{n}"', number=str(n)) for n in range(9))
    stream = FORMS[dialect][0].translator()
    b"".join(stream.feed(batch_of(plain_delta(RECORDED))))
    monkeypatch.setattr(Event, "json", property(lambda event: pytest.fail("parsed")))
    (out,) = stream.feed(batch_of(data))
    assert all(b'"w%d"' % n in out for n in range(9))


@every_dialect
def test_a_stop_sequence_is_found_in_plain_deltas(dialect: str) -> None:
    form: Any = FORMS[dialect][0]
    stream = replace(form, options=replace(form.options, stop=("w5",))).translator()
    batches = [plain_delta(RECORDED, delta=f'"w{n}"') * 2 for n in range(9)]
    out = b"".join(chunk for data in batches for chunk in stream.feed(batch_of(data)))
    assert stream.finished
    assert b'"w4"' in out
    assert b"w5" not in out.replace(b'"stop_sequence":"w5"', b"")


RECORDED = (
    'event: response.output_text.delta\ndata: {{"type":"response.output_text.delta",'
    '"content_index":{content},"delta":{delta},"item_id":{id},"logprobs":[],"obfuscation":{noise},'
    '"output_index":{index},"sequence_number":{number}}}\n\n'
)
OF_THE_DOCUMENTATION = (
    'event: response.output_text.delta\ndata: {{"type":"response.output_text.delta",'
    '"sequence_number":{number},"item_id":{id},"output_index":{index},"content_index":{content},'
    '"delta":{delta},"logprobs":[],"obfuscation":{noise}}}\n\n'
)
A_CALL = (
    "event: response.function_call_arguments.delta\n"
    'data: {{"type":"response.function_call_arguments.delta","delta":{delta},"item_id":{id},'
    '"obfuscation":{noise},"output_index":{index},"sequence_number":{number}}}\n\n'
)
FORMS_OF_DELTAS = (RECORDED, OF_THE_DOCUMENTATION, A_CALL)
HONEST: JsonObject = {
    "content": "0", "delta": '"a"', "id": '"msg_1"', "noise": '"q"', "index": "1", "number": "7",
}  # fmt: skip


def plain_delta(form: str, **values: str) -> bytes:
    return form.format(**{**HONEST, **values}).encode()


def batch_of(data: bytes) -> DeltaBatch:
    (deltas,) = Decoder(coalesce=True).feed(data)
    assert isinstance(deltas, DeltaBatch)
    return deltas


@pytest.mark.parametrize("form", FORMS_OF_DELTAS, ids=["recorded", "documentation", "call"])
def test_plain_deltas_are_cut_and_not_parsed(form: str) -> None:
    """So that the tests here are of the way that they mean."""
    data = b"".join(plain_delta(form, delta=f'"w{n}\\n"', number=str(n)) for n in range(50))
    plain = PlainDeltas.of(batch_of(data))
    assert plain is not None
    assert plain.part == (1, None, None if form == A_CALL else 0)
    assert plain.literals == [b'"w%d\\n"' % n for n in range(50)]


def test_deltas_of_the_wires_and_of_the_recorded_form_take_the_fast_way() -> None:
    data = wire("text")
    first = re.search(rb"event: response.output_text.delta\n.*\n\n", data)
    assert first is not None
    assert PlainDeltas.of(batch_of(first[0])) is not None


@pytest.mark.parametrize(
    "literal", ['"\\ud83d"', '"\\uDE00"', '"\\ud83dx"', '"\\ud83d\\u0041"', '"\\ud83d\\ud83d"', '"\\u00g0"',
                '"\\u12"', '"\\x"', '"a\tb"', "null", "7", '"a","b"', '"', "{}", '"a\\"'],
)  # fmt: skip
@pytest.mark.parametrize("form", FORMS_OF_DELTAS, ids=["recorded", "documentation", "call"])
def test_what_is_no_whole_text_is_parsed(form: str, literal: str) -> None:
    """Halves of surrogate pairs among them."""
    data = plain_delta(form) * 2 + plain_delta(form, delta=literal) + plain_delta(form)
    for deltas in decoded(data, [], together=True):
        assert not isinstance(deltas, DeltaBatch) or PlainDeltas.of(deltas) is None


@pytest.mark.parametrize(
    "literal", ['"\\u00e9"', '"\\u00E9"', '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\/"', '"\\b\\f"', '"\\u001b[0m"',
                '"\\u0041"', '"\\\\u0041"', '"\\\\\\u0041"', '"\\u2028"', '"\\""'],
)  # fmt: skip
@pytest.mark.parametrize("form", FORMS_OF_DELTAS, ids=["recorded", "documentation", "call"])
def test_an_escape_that_we_write_in_another_way_takes_the_fast_way_too(
    form: str, literal: str
) -> None:
    plain = PlainDeltas.of(batch_of(plain_delta(form) + plain_delta(form, delta=literal)))
    assert plain is not None
    assert plain.literals[1] == wire_json.dumps(json.loads(literal))


def test_a_batch_with_bytes_that_are_no_text_is_parsed() -> None:
    bad = plain_delta(RECORDED).replace(b'"a"', b'"\xff"')
    assert PlainDeltas.of(batch_of(plain_delta(RECORDED) + bad)) is None


def test_deltas_of_two_parts_are_parsed() -> None:
    for other in ({"index": "2"}, {"content": "1"}):
        data = plain_delta(RECORDED) + plain_delta(RECORDED, **other)
        assert PlainDeltas.of(batch_of(data)) is None


VALUES = st.sampled_from(
    ['"x"', '"a b"', '"\\""', '"\\\\"', '""', '"\\u00e9"', "7", "0", "007", "-1", "7.5", "1e3",
     "null", '{"delta":"x"}', '["x"]', '"\\"delta\\":"', '"x","item_id":"z"', '"a\\', '",', '"x"}',
     '"\x01"', '"\x7f"', '"é漢🙂\u2028"', '"x","delta":"y"', '"x","output_index":9', "true"]
)  # fmt: skip


@given(
    form=st.sampled_from(FORMS_OF_DELTAS),
    values=st.lists(
        st.dictionaries(st.sampled_from(sorted(HONEST)), VALUES, max_size=3), min_size=1, max_size=4
    ),
)
def test_what_is_spliced_is_what_the_json_says(form: str, values: list[dict[str, str]]) -> None:
    data = b"".join(plain_delta(form, **one) for one in values)
    for deltas in decoded(data, [], together=True):
        if not isinstance(deltas, DeltaBatch) or (plain := PlainDeltas.of(deltas)) is None:
            continue
        payloads = [json.loads(one.data) for one in deltas.each]
        assert plain.literals == [wire_json.dumps(payload["delta"]) for payload in payloads]
        places = [(one["output_index"], None, one.get("content_index")) for one in payloads]
        assert places == [plain.part] * len(places)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_that_is_spliced_is_written_as_we_write_it(text: str) -> None:
    data = plain_delta(RECORDED, delta=wire_json.dumps(text).decode())
    plain = PlainDeltas.of(batch_of(data))
    assert plain is not None
    assert plain.literals == [wire_json.dumps(text)]


def test_an_envelope_that_is_told_late_is_in_the_next_delta() -> None:
    form = chat.ReplyOptions("m")
    shared = chat.shared_envelope(form, created=1)
    stream = chat.ChatStream(form, shared=shared)
    for _ in range(3):
        early = b"".join(stream.feed(batch_of(plain_delta(RECORDED))))
    shared.adopt({"id": "resp_7"})
    late = b"".join(stream.feed(batch_of(plain_delta(RECORDED))))
    assert late == early.replace(b'"id":"chatcmpl-"', b'"id":"chatcmpl-7"') != early
