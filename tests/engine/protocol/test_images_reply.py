from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest
from tests.drawn import picture
from tests.wire_files import wire

from codexapi_engine.errors import (
    BackendError,
    CodexError,
    ContentRefused,
    JsonObject,
    StreamInterrupted,
)
from codexapi_engine.protocol import images, sse
from codexapi_engine.protocol.images import Image, Images, Picture

PNG = picture(size=(30, 20))
B64 = base64.b64encode(PNG).decode()
USAGE: JsonObject = {
    "input_tokens": 3, "input_tokens_details": {"image_tokens": 1, "text_tokens": 2},
    "output_tokens": 5, "total_tokens": 8,
}  # fmt: skip


def reply(*pictures: Picture, told: Images | None = None) -> JsonObject:
    told = told or Images((), None, None, None)
    whole: JsonObject = json.loads(b"".join(images.to_reply(pictures, told, created=7)))
    return whole


def made(data: bytes = PNG, **more: Any) -> Picture:
    given: JsonObject = {"format": "png", "width": 30, "height": 20, "alpha": False, **more}
    return Picture(data, **given)


def test_a_reply_tells_what_the_pictures_are() -> None:
    assert reply(made(alpha=True), told=Images((), 9, "high", USAGE)) == {
        "created": 9,
        "background": "transparent",
        "output_format": "png",
        "size": "30x20",
        "quality": "high",
        "usage": USAGE,
        "data": [{"b64_json": B64}],
    }


def test_what_nobody_told_is_left_out() -> None:
    told = reply(made(), told=Images((), None, "auto", None))
    assert (told["created"], told["background"]) == (7, "opaque")
    assert not {"quality", "usage"} & set(told)


def test_several_pictures_keep_their_order_and_prompts() -> None:
    told = reply(
        made(b"one", revised_prompt='a "fox"'),
        made(b"", url="http://127.0.0.1/x.png"),
        made(b"three" * 200_000, revised_prompt="{the picture's bytes}"),
    )
    first, second, third = told["data"]
    assert first == {"b64_json": base64.b64encode(b"one").decode(), "revised_prompt": 'a "fox"'}
    assert second == {"url": "http://127.0.0.1/x.png"}
    assert base64.b64decode(third["b64_json"]) == b"three" * 200_000


def test_no_piece_of_a_reply_is_large() -> None:
    pieces = list(images.to_reply([made(b"x" * 3_000_000)], Images((), 1, None, None), created=1))
    assert max(map(len, pieces)) < 2**20


def test_base64_comes_back_whole_whatever_its_length() -> None:
    for size in (0, 1, 2, 3, 400_000, 400_001):
        data = bytes(size)
        assert images.decoded(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize("text", ["AAA", "A?==", "AAAA" * 100_000 + "A", "ÄÄÄÄ"])
def test_what_is_no_base64_is_an_error_of_ours(text: str) -> None:
    with pytest.raises(StreamInterrupted):
        images.decoded(text)


def test_a_native_answer_is_read() -> None:
    told = images.from_backend(
        {
            "created": 5, "quality": "low", "usage": USAGE,
            "data": [{"b64_json": B64, "revised_prompt": "a fox"}],
        }
    )  # fmt: skip
    assert told == Images((Image(PNG, "a fox"),), 5, "low", USAGE)


@pytest.mark.parametrize("answer", [{}, {"data": []}, {"data": "x"}, {"data": [None]}])
def test_an_answer_without_a_picture_is_no_success(answer: JsonObject) -> None:
    with pytest.raises(BackendError):
        images.from_backend(answer)


def test_several_answers_are_one_and_their_usage_is_summed() -> None:
    one = Images((Image(b"a"),), 5, "low", USAGE)
    whole = images.merge([one, Images((Image(b"b"),), 6, "low", USAGE)])
    assert [image.data for image in whole.images] == [b"a", b"b"]
    assert whole.usage is not None
    assert whole.usage["total_tokens"] == 16
    assert whole.usage["input_tokens_details"] == {"image_tokens": 2, "text_tokens": 4}


def call(**more: Any) -> JsonObject:
    return {"type": "image_generation_call", "status": "generating", "result": B64, **more}


def test_the_tools_last_picture_counts_and_its_own_usage() -> None:
    told = images.from_response(
        {
            "created_at": 5, "usage": {"total_tokens": 1},
            "tool_usage": {"image_gen": USAGE},
            "output": [call(result=base64.b64encode(b"no").decode()), call(revised_prompt="fox")],
        }
    )  # fmt: skip
    assert told.images == (Image(PNG, "fox"),)
    assert told.usage == USAGE


@pytest.mark.parametrize(
    ("output", "kind", "code"),
    [
        (
            [call(result=None, status="failed", error={"code": "moderation_blocked", "message": "No"})],
            ContentRefused,
            "moderation_blocked",
        ),
        (
            [{"type": "message", "content": [{"type": "output_text", "text": "I would rather not."}]}],
            ContentRefused,
            "image_generation_refused",
        ),
        (
            [{"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}],
            ContentRefused,
            "image_generation_refused",
        ),
        ([], BackendError, "upstream_empty_response"),
        (
            [{"type": "reasoning", "content": [{"type": "reasoning_text", "text": "I think."}]}],
            BackendError,
            "upstream_empty_response",
        ),
    ],
)  # fmt: skip
def test_a_run_without_a_picture_says_why(
    output: list[JsonObject], kind: type[CodexError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        images.from_response({"output": output})
    assert caught.value.code == code


# Streams


def stream(**more: Any) -> images.ImageStream:
    given: JsonObject = {
        "created": 7, "size": "auto", "quality": "auto", "background": "auto", **more,
    }  # fmt: skip
    return images.ImageStream("image_generation", **given)


def said(pieces: Iterable[bytes]) -> list[sse.Event]:
    return sse.Decoder().feed(b"".join(pieces))


def events(*told: JsonObject) -> list[sse.Event]:
    return sse.Decoder().feed(b"".join(sse.encode(one, one["type"]) for one in told))


def test_a_recorded_stream_becomes_partial_pictures_and_a_last_one() -> None:
    machine = stream()
    out: list[bytes] = []
    for event in sse.Decoder().feed(wire("image_generation")):
        out += machine.feed(event)
    out += machine.close()
    told = said(out)
    kinds = [event.type for event in told if event.json]
    assert kinds[-1] == "image_generation.completed"
    assert set(kinds[:-1]) == {"image_generation.partial_image"}
    assert told[-1].data == b"[DONE]"
    last = told[-2].json
    assert last["usage"]["total_tokens"] == 1403
    assert {"b64_json", "created_at", "size", "quality", "background", "output_format"} <= set(last)
    assert last["type"] == "image_generation.completed"
    assert machine.finished


def test_a_stream_tells_the_pixels_that_came() -> None:
    item = call(size="1024x1024", output_format="webp", quality="low", background="auto")
    machine = stream()
    out = [
        piece
        for event in events(
            {"type": "response.output_item.done", "item": item},
            {"type": "response.completed", "response": {}},
        )
        for piece in machine.feed(event)
    ]
    last = said(out)[0].json
    assert (last["size"], last["output_format"]) == ("30x20", "png")
    assert (last["background"], last["quality"]) == ("opaque", "low")
    assert last["usage"]["total_tokens"] == 0  # the official types demand one


@pytest.mark.parametrize(
    "ending",
    [
        {"type": "response.completed", "response": {}},
        {
            "type": "response.failed",
            "response": {"error": {"code": "server_error", "message": "x"}},
        },
        {"type": "error", "code": "server_error", "message": "x"},
    ],
)
def test_a_stream_without_a_picture_raises(ending: JsonObject) -> None:
    (event,) = events(ending)
    with pytest.raises(CodexError):
        list(stream().feed(event))


def test_a_stream_that_is_cut_raises_and_is_told_in_its_own_form() -> None:
    machine = stream()
    with pytest.raises(StreamInterrupted) as caught:
        list(machine.close())
    (told,) = said(machine.fail(caught.value))
    assert told.type == "error"
    assert set(told.json["error"]) == {"message", "type", "param", "code"}


def test_a_whole_picture_is_a_stream_of_one_event() -> None:
    event = images.completed(
        "image_edit", made(), Images((), 5, None, USAGE), created=7, quality="auto"
    )
    machine = images.CompletedImage()
    told = said([*machine.feed(sse.Event(event.removesuffix(b"\n\n"))), *machine.close()])
    assert [one.type for one in told[:1]] == ["image_edit.completed"]
    assert told[0].json["b64_json"] == B64
    assert told[0].json["usage"] == USAGE
    assert told[1].data == b"[DONE]"
    assert machine.finished
