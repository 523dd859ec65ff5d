"""The laws over 103 streams that were recorded from the real backend (2026-05, gpt-5.5).

They are test cassettes inside the source distribution of langchain-openai 1.7.3 (MIT). They are
downloaded by name, kept in the ignored folder `.cache/`, and never become part of this tree.
"""

from __future__ import annotations

import gzip
import json
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from openai.types.responses import Response
from tests import downloads
from tests.chat_replies import added_up, chunks
from tests.grammar import assert_official
from tests.wire_files import events, translated

from codexapi_engine.protocol import JsonObject, chat, responses, sse

PACKAGE, VERSION, STREAMS = "langchain-openai", "1.7.3", 103
FORM = chat.ReplyOptions("asked", include_usage=True, reasoning=True)


@pytest.fixture(scope="module")
def recorded() -> list[tuple[str, bytes]]:
    """Each stream, with the name of its cassette. Skips where they cannot be had."""
    (archive,) = downloads.cached("recorded", _download).glob("*.tar.gz")
    return list(_streams(archive))


def _download(folder: Path) -> None:
    what = ["--no-deps", f"--no-binary={PACKAGE}", f"--dest={folder}", f"{PACKAGE}=={VERSION}"]
    downloads.pip("download", *what, seconds=100)


def _streams(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as files:
        for member in files:
            name = Path(member.name).name
            if "odex" not in name or not name.endswith(".yaml.gz"):
                continue
            packed = files.extractfile(member)
            assert packed is not None
            cassette = yaml.load(gzip.decompress(packed.read()), Loader=yaml.CSafeLoader)
            for response in cassette["responses"]:
                body = response["body"]["string"]
                if body.startswith(b"event: response.created"):
                    yield name, body


def _folded(stream: list[sse.Event]) -> JsonObject:
    assembler = responses.Assembler()
    for event in stream:
        assembler.feed(event)
    return assembler.finish()


def _told(stream: list[sse.Event]) -> JsonObject:
    """The response that the backend itself tells at the end."""
    response: JsonObject = stream[-1].json["response"]
    return response


def _texts(response: JsonObject) -> list[str]:
    return [
        part["text"]
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    ]


def _calls(response: JsonObject) -> list[tuple[str, str, str]]:
    return [
        (item["call_id"], item["name"], item.get("arguments") or item.get("input"))
        for item in response["output"]
        if item["type"] in ("function_call", "custom_tool_call")
    ]


def test_all_streams_are_there(recorded: list[tuple[str, bytes]]) -> None:
    assert len(recorded) == STREAMS


def test_random_cuts_change_no_event(recorded: list[tuple[str, bytes]]) -> None:
    dice = random.Random(1)
    for name, data in recorded:
        cuts = [dice.randrange(len(data)) for _ in range(40)]
        whole = [event.raw for event in events(data)]
        assert [event.raw for event in events(data, cuts)] == whole, name
        assert b"".join(raw + b"\n\n" for raw in whole) == data, name


def test_the_items_alone_give_the_output_that_the_backend_tells(
    recorded: list[tuple[str, bytes]],
) -> None:
    for name, data in recorded:
        assembler = responses.Assembler()
        for event in events(data):
            assembler.feed(event)
        assert assembler.output == _told(events(data))["output"], name


def test_chunks_say_what_the_backend_says_at_the_end(recorded: list[tuple[str, bytes]]) -> None:
    for name, data in recorded:
        stream = events(data)
        told, usage = _told(stream), _told(stream)["usage"]
        out, error = translated(stream, chat.ChatStream(FORM, created=1))
        assert error is None, name
        assert out.endswith(sse.DONE), name
        reply = added_up(out)
        assert reply == {**chat.from_response(_folded(stream), FORM, created=1)}, name
        message = reply["choices"][0]["message"]
        assert (message["content"] or "") == "\n\n".join(_texts(told)), name
        assert [
            (call["id"], call[call["type"]]["name"], next(reversed(call[call["type"]].values())))
            for call in message.get("tool_calls", ())
        ] == _calls(told), name
        assert reply["usage"]["prompt_tokens"] == usage["input_tokens"], name
        assert reply["usage"]["completion_tokens"] == usage["output_tokens"], name
        assert reply["usage"]["total_tokens"] == usage["total_tokens"], name
        expected = "tool_calls" if _calls(told) else "stop"
        assert chunks(out)[-2]["choices"][0]["finish_reason"] == expected, name


def test_nothing_is_lost_on_the_responses_road(recorded: list[tuple[str, bytes]]) -> None:
    for name, data in recorded:
        stream = events(data)
        asked = {"include": ["reasoning.encrypted_content"]}
        out, error = translated(stream, responses.ResponseStream(asked, created=1))
        assert error is None, name
        *passed, done = events(out)
        assert done.data == b"[DONE]", name
        for given, event in zip(passed, stream, strict=True):
            if "response" not in event.json:
                assert given.raw == event.raw, name
            else:
                assert given.json["response"]["output"] == event.json["response"]["output"], name
        assert (
            passed[-1].json["response"]["usage"]["total_tokens"]
            == _told(stream)["usage"]["total_tokens"]
        )


def test_all_are_in_the_order_that_the_checker_of_ours_asks_for(
    recorded: list[tuple[str, bytes]],
) -> None:
    """So what is made up for other streams is what the backend itself would send."""
    for name, data in recorded:
        stream = [event.json for event in events(data)]
        assert assert_official(stream) == _told(events(data))["output"], name


def test_every_response_suits_the_official_types(recorded: list[tuple[str, bytes]]) -> None:
    for _, data in recorded:
        whole = responses.from_response(_folded(events(data)), {}, 1)
        Response.model_validate_json(json.dumps(whole), strict=True)


def test_no_account_bound_name_passes(recorded: list[tuple[str, bytes]]) -> None:
    for name, data in recorded:
        given = str(_told(events(data)).get("safety_identifier") or "")
        out, _ = translated(events(data), responses.ResponseStream({}, created=1))
        assert given.startswith("user-"), name
        assert given.encode() not in out, name
