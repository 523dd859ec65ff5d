"""Server-sent events: framing by the letter of WHATWG HTML, and what is ours on top of it."""

from __future__ import annotations

import pytest
from tests.wire_files import events

from codexapi_engine.errors import StreamInterrupted
from codexapi_engine.protocol import (
    JsonObject,
    Translator,
    chat,
    completions,
    images,
    responses,
    sse,
)
from codexapi_engine.protocol.choices import SharedEnvelope
from codexapi_engine.protocol.sse import Decoder, Event

LINE_SEPARATOR, NEXT_LINE = "\u2028".encode(), "\u0085".encode()

VECTORS: list[tuple[str, bytes, list[bytes]]] = [
    ("LF", b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    ("CR", b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    ("mixed line ends", b"data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", [b"a", b"b", b"c"]),
    ("a CR that is no part of a CRLF", b"data: a\r\n\rdata: b\n\n", [b"a", b"b"]),
    ("a BOM", b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    ("a BOM before a CRLF", b"\xef\xbb\xbf\r\ndata: a\r\n\r\n", [b"a"]),
    ("a second BOM is text", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [b"b"]),
    ("a BOM later is text", b"data: \xef\xbb\xbfa\n\n", [b"\xef\xbb\xbfa"]),
    ("half a BOM is text", b"\xef\xbb", []),
    ("no space after the colon", b"data:a\n\n", [b"a"]),
    ("only one space is taken off", b"data:  a\n\n", [b" a"]),
    ("a tab is text", b"data:\ta\n\n", [b"\ta"]),
    ("U+2028 is text", b"data: a" + LINE_SEPARATOR + b"b\n\n", [b"a" + LINE_SEPARATOR + b"b"]),
    ("U+0085 is text", b"data: a" + NEXT_LINE + b"b\n\n", [b"a" + NEXT_LINE + b"b"]),
    ("form feed and vertical tab are text", b"data: a\x0b\x0cb\n\n", [b"a\x0b\x0cb"]),
    ("data on several lines", b"data: a\ndata: b\ndata:\ndata: c\n\n", [b"a\nb\n\nc"]),
    ("lines of other fields between", b"data: a\nid: 1\ndata: b\n\n", [b"a\nb"]),
    ("a comment", b": hello\n\ndata: a\n\n", [b"a"]),
    ("a comment within an event", b": one\ndata: a\n: two\n\n", [b"a"]),
    ("a comment that looks like data", b":data: no\n\ndata: a\n\n", [b"a"]),
    ("ids and retries", b"id: 7\nretry: 10\ndata: a\n\nretry: 5\n\n", [b"a"]),
    ("an event without data", b"event: ping\n\ndata: a\n\n", [b"a"]),
    ("an event with empty data", b"data:\n\n", [b""]),
    ("a longer field name", b"database: a\n\nmydata: b\n\ndata: c\n\n", [b"c"]),
    ("a colon in the data", b"data: a: b:c\n\n", [b"a: b:c"]),
    ("many blank lines", b"\n\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [b"a", b"b"]),
    ("nothing", b"", []),
    ("only blank lines", b"\n\r\n\r", []),
    ("[DONE]", b"data: {}\n\ndata: [DONE]\n\n", [b"{}", b"[DONE]"]),
    ("no blank line at the end", b'data: {"a":1}\n\ndata: {"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    ("no line end at the end", b'data: {"a":1}\n\ndata: {"b":2}', [b'{"a":1}', b'{"b":2}']),
    ("[DONE] without a blank line", b"data: {}\n\ndata: [DONE]\n", [b"{}", b"[DONE]"]),
    ("half an event at the end", b'data: {"a":1}\n\ndata: {"b":', [b'{"a":1}']),
    ("half a line at the end", b'data: {"a":1}\n\nda', [b'{"a":1}']),
]


@pytest.mark.parametrize(
    ("data", "expected"), [v[1:] for v in VECTORS], ids=[v[0] for v in VECTORS]
)
def test_a_vector_is_framed_alike_in_every_cut(data: bytes, expected: list[bytes]) -> None:
    assert [event.data for event in events(data)] == expected
    assert [event.data for event in events(data, range(len(data)))] == expected
    for cut in range(len(data) + 1):
        assert [event.data for event in events(data, [cut])] == expected, cut
        assert [event.data for event in events(data, [cut, cut])] == expected, cut


def test_a_letter_may_be_cut() -> None:
    data = 'data: {"t":"日本 🙂"}\n\n'.encode()
    for cut in range(len(data)):
        assert events(data, [cut])[0].json == {"t": "日本 🙂"}


def test_an_event_comes_as_soon_as_its_blank_line_is_there() -> None:
    decoder = Decoder()
    assert decoder.feed(b"data: {}\n") == []
    assert [event.data for event in decoder.feed(b"\n")] == [b"{}"]
    assert [event.data for event in decoder.feed(b"data: {}\r\n\r")] == [b"{}"]
    assert decoder.feed(b"\n") == []


def test_bytes_of_an_event_pass_as_they_came() -> None:
    raw = b'event: a\nid: 7\n: note\ndata:  {"x": 1}  \nother'
    assert [event.encode() for event in events(raw + b"\n\n")] == [raw + b"\n\n"]


def test_flush_is_the_end() -> None:
    decoder = Decoder()
    decoder.feed(b"data: {}")
    assert len(decoder.flush()) == 1
    assert decoder.flush() == []


@pytest.mark.parametrize("before", [b"", b"data: 1234567", b"data: {}\n\ndata: 12"])
def test_an_endless_event_is_refused(before: bytes) -> None:
    decoder = Decoder(limit=16)
    decoder.feed(before)
    with pytest.raises(StreamInterrupted, match="over 0 MiB") as caught:
        decoder.feed(b"x" * (17 - len(before.rpartition(b"\n")[2])))
    assert caught.value.code == "upstream_protocol_error"


def test_the_limit_is_for_one_event_and_not_for_a_stream() -> None:
    decoder = Decoder(limit=16)
    for _ in range(10):
        assert decoder.feed(b"data: 0123456789") == []
        assert len(decoder.feed(b"\n\n")) == 1


def test_a_large_event_in_small_pieces_is_not_copied_again_and_again() -> None:
    """Counts pieces and not seconds: they are kept apart until the event is whole."""
    decoder, size = Decoder(), 4096
    decoder.feed(b"data: ")
    for _ in range(1000):
        assert decoder.feed(b"x" * size) == []
    (event,) = decoder.feed(b"\n\n")
    assert len(event.data) == 1000 * size


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"event: a.b\ndata: {}", "a.b"),
        (b"event:a.b\ndata: {}", "a.b"),
        (b"data: {}\nevent: a.b", "a.b"),
        (b"event: first\nevent: last\ndata: {}", "first"),
        (b"id: 1\nevent: first\nevent: last\ndata: {}", "last"),
        (b'data: {"type":"from.json"}', "from.json"),
        (b'event:\ndata: {"type":"from.json"}', "from.json"),
        (b'event: named\ndata: {"type":"from.json"}', "named"),
        (b"data: {}", ""),
        (b"data: [DONE]", ""),
        (b'data: {"type": null}', ""),
        (b"event: \xff\ndata: {}", "�"),
    ],
)
def test_the_type_comes_from_the_line_else_from_the_json(raw: bytes, kind: str) -> None:
    event = Event(raw)
    assert event.type == kind
    assert event.type == kind


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[1]", b"1", b"null", b'"x"', b"[" * 100_000, b'{"a":NaN}']
)
def test_what_is_no_json_object_is_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(StreamInterrupted) as caught:
        _ = Event(b"event: a\ndata: " + data).json
    assert caught.value.code == "upstream_protocol_error"


def test_json_is_parsed_once_and_only_when_asked_for() -> None:
    event = Event(b"event: a\ndata: not json")
    assert event.type == "a"
    good = Event(b"data: {}")
    assert good.json is good.json


def test_encode_writes_one_event() -> None:
    assert sse.encode({"a": "\n"}) == b'data: {"a":"\\n"}\n\n'
    assert sse.encode({}, "x.y") == b"event: x.y\ndata: {}\n\n"


@pytest.mark.parametrize("payload", [{}, {"t": "\n\r\u2028🙂"}, {"n": [1, None, {"x": 0.5}]}])
def test_what_is_encoded_is_decoded(payload: JsonObject) -> None:
    (event,) = events(sse.encode(payload, "kind"))
    assert (event.type, event.json) == ("kind", payload)


def test_comments_and_done_are_events_of_their_own() -> None:
    assert events(sse.KEEP_ALIVE) == []
    assert [event.data for event in events(sse.KEEP_ALIVE + sse.DONE)] == [b"[DONE]"]
    assert events(sse.DONE)[0].json == {}


ODD = "a\u2028b\u2029c\x85d\u2027é\xc2"


def test_line_ends_of_other_standards_are_escaped_and_nothing_else() -> None:
    payload = {"type": "x", "text": ODD}
    for out in (sse.encode(payload), b"".join(sse.pieces(payload, "x"))):
        assert len(out.decode().splitlines()) == len(out.split(b"\n")) - 1
        assert "\u2027é\xc2".encode() in out
        (event,) = sse.Decoder().feed(out)
        assert event.json == payload


@pytest.mark.parametrize(
    "translator",
    [
        responses.ResponseStream({}, created=1),
        chat.ChatStream(chat.ReplyOptions("m")),
        completions.CompletionStream(
            completions.CompletionOptions("m"),
            SharedEnvelope(prefix="", object="", model="m", created=1),
        ),
        images.ImageStream("image_edit", created=1, size="", quality="", background=""),
    ],
    ids=["responses", "chat", "completions", "images"],
)
def test_a_stream_without_its_end_is_a_lost_connection_in_every_dialect(
    translator: Translator,
) -> None:
    """By these words some programs decide whether to try again."""
    with pytest.raises(StreamInterrupted, match="connection lost"):
        translator.close()
    with pytest.raises(StreamInterrupted, match="connection lost"):
        responses.Assembler().finish()


def test_a_lost_connection_is_told_once() -> None:
    """Some clients decide by these words whether to try again."""
    assert sse.interruption().message.count("connection lost") == 1
