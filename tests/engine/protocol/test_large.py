"""Large events: passed on in the pieces that they came in, and said no differently."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from codexapi_engine.errors import StreamInterrupted
from codexapi_engine.protocol import Event, json, responses, sse

ITEM = "response.output_item.done"
CREATED = b'event: response.created\ndata: {"type":"response.created","response":{"id":"r"}}\n\n'
COMPLETED = (
    b"event: response.completed\n"
    b'data: {"type":"response.completed","response":{"id":"r","output":[]}}\n\n'
)
DRAWN = "iVBORw0K" * 40
RESULTS: dict[str, str] = {
    "a picture": f'"{DRAWN}"',
    "two pictures": f'"{DRAWN}","more":"{DRAWN}"',
    "text with quotes": '"' + r"say \"a\" " * 40 + '"',
    "escapes between what is plain": f'"{DRAWN}\\n{DRAWN}\\u00e9{DRAWN}"',
    "other letters": '"' + "é🙂" * 60 + '"',
    "half a letter": '"' + DRAWN + "\\ud83d" + DRAWN + '"',
    "numbers": "[" + "1234567890," * 40 + "0]",
    "blanks": '""' + " " * 400,
    "a long name": f'"","{DRAWN}":1',
    "told twice": f'"{DRAWN}","result":1',
    "the words that stand for it": f'"{DRAWN}","more":"a long string"',
    "in a list": f'["a",["{DRAWN}"]]',
}


def stream(result: str) -> bytes:
    data = f'{{"type":"{ITEM}","output_index":0,"item":{{"id":"i","result":{result}}}}}'
    return CREATED + f"event: {ITEM}\ndata: {data}\n\n".encode() + COMPLETED


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def decoded(pieces: list[bytes]) -> Iterator[Event]:
    decoder = sse.Decoder(coalesce=True)
    for piece in pieces:
        yield from decoder.feed(piece)


def said(pieces: list[bytes], **asked: object) -> tuple[bytes, bytes]:
    """What a client is told, and what is kept."""
    out = responses.ResponseStream({"model": "m", **asked}, created=1)
    told = [said for event in decoded(pieces) for said in out.feed(event)]
    return b"".join(told), json.dumps(out.response)


@pytest.mark.parametrize("asked", [{}, {"stream_options": {"include_obfuscation": False}}])
@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_a_large_event_is_told_like_any_other(
    result: str, asked: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stream(result)
    whole = said([data], **asked)
    monkeypatch.setattr(json, "PIECE", 8)
    for size in range(1, 150):
        assert said(cut(data, size), **asked) == whole, size


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_a_large_event_is_what_it_would_be_in_one_piece(
    result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stream(result)
    whole = [(event.type, event.raw, event.json) for event in decoded([data])]
    monkeypatch.setattr(json, "PIECE", 8)
    for size in range(1, 150):
        events = list(decoded(cut(data, size)))
        assert [b"".join(event.pieces()) for event in events] == [e.encode() for e in events]
        assert [(event.type, event.raw, event.json) for event in events] == whole, size


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_large_event_of_more_lines_is_framed_alike(
    line_end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [b"event: a", b"data: {", b"id: 7", b'data: "b":"' + b"c" * 90 + b'"}', b"", b""]
    data = line_end.join([*lines, b": hello", *lines, b""])
    monkeypatch.setattr(json, "PIECE", 8)
    for size in range(1, len(data) + 1):
        assert [event.json for event in decoded(cut(data, size))] == [{"b": "c" * 90}] * 2, size


@pytest.mark.parametrize(
    "result", [f'"{DRAWN}', f'"{DRAWN}" "{DRAWN}"', f'"{DRAWN}\n{DRAWN}"', f'"{DRAWN}\\q"']
)
def test_a_large_item_that_is_no_json_is_refused(
    result: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json, "PIECE", 8)
    for size in range(1, 150):
        with pytest.raises(StreamInterrupted):
            said(cut(stream(result), size))


def test_a_large_event_that_passes_unread_is_still_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json, "PIECE", 8)
    kind = "response.image_generation_call.partial_image"
    head = f'event: {kind}\ndata: {{"type":"{kind}","partial_image_b64":"{DRAWN}'.encode()
    for tail in (b"", b'\xff"}'):
        with pytest.raises(StreamInterrupted):
            said([CREATED, *cut(head + tail + b"\n\n", 100)])


def test_json_in_pieces_is_the_same_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "PIECE", 8)
    value = {"a": ["é🙂" * 9, {}, [], {"b": 'c"\\\n' * 9, "": None}], "d": 1.5, "e" * 20: "f" * 8}
    pieces = list(json.pieces(value))
    assert b"".join(pieces) == json.dumps(value)
    assert max(map(len, pieces)) < 50
    long = {"a": [json.ChunkedString([b"one ", b"two"])]}
    assert b"".join(json.pieces(long)) == json.dumps(long) == b'{"a":["one two"]}'
    assert json.dumps({"\ud800": long}) == b'{"\xef\xbf\xbd":{"a":["one two"]}}'
    with pytest.raises(TypeError):
        json.dumps(object())


def test_a_picture_on_its_way_is_never_copied() -> None:
    """What comes is there already; beside it there is room for a piece or two, whatever its size.
    One copy of the event would be a ratio of 1."""
    size = 11 * 2**20
    pieces = cut(stream(f'"{"iVBORw0K" * (size // 8)}"'), 64 * 1024)
    out, told = responses.ResponseStream({"model": "m"}, created=1), 0
    tracemalloc.start()
    try:
        for event in decoded(pieces):
            told += sum(map(len, out.feed(event)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told > 2 * size, "in its own event, and in the last one"
    assert peak / size < 0.1


@pytest.mark.parametrize("verbatim", [False, True])
def test_a_large_picture_is_completed_and_not_copied_for_it(verbatim: bool) -> None:
    size = 11 * 2**20
    item = '{"id":"i","type":"image_generation_call","status":"generating","result":"%s"}'
    drawn = item % ("iVBORw0K" * (size // 8))
    data = f'event: {ITEM}\ndata: {{"type":"{ITEM}","output_index":0,"item":{drawn}}}\n\n'
    pieces = cut(CREATED + data.encode() + COMPLETED, 64 * 1024)
    out, told = responses.ResponseStream({"model": "m"}, created=1, verbatim=verbatim), 0
    found = 0
    tracemalloc.start()
    try:
        for event in decoded(pieces):
            for piece in out.feed(event):
                told += len(piece)
                found += piece.count(b'"completed"')
                assert b"generating" not in piece
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told > 2 * size
    assert found == 3, "the item's own event, the one in the last event, and the response's"
    assert peak / size < 0.1


def test_line_ends_of_other_standards_are_escaped_in_a_large_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json, "PIECE", 8)
    kind, text = "response.hologram.ready", "é\u2028" * 40
    data = f'event: {kind}\ndata: {{"type":"{kind}","a":"{text}"}}\n\n'.encode()
    for size in range(20, 90):
        told, _ = said([CREATED, *cut(data, size), COMPLETED])
        assert "\u2028".encode() not in told
        assert [event.json["a"] for event in decoded([told]) if event.type == kind] == [text]


def test_a_large_text_is_told_in_pieces() -> None:
    """With an escape in each piece nothing can pass as it came: it is read, and that is one copy
    for its JSON, one for the words, and none for what is told of them."""
    words = "as it was \\n" * 200_000
    pieces = cut(stream(f'"{words}"'), 64 * 1024)
    out = responses.ResponseStream({"model": "m"}, created=1)
    tracemalloc.start()
    try:
        longest = max(len(said) for event in decoded(pieces) for said in out.feed(event))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert longest < len(words) / 4
    assert peak / len(words) < 3.5
