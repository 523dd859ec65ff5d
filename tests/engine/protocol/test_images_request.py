from __future__ import annotations

from typing import Any

import pytest

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol.images import ImageRequest, to_backend, to_responses
from codexapi_engine.protocol.images.request import EDIT_RULES, from_client

URL = "data:image/png;base64,AAAA"


def asked(**body: Any) -> ImageRequest:
    request, _ = from_client({"prompt": "a fox", **body})
    return request.to_image_request()


def test_a_prompt_is_all_it_takes() -> None:
    path, body = to_backend(asked())
    assert path == "/images/generations"
    assert body == {
        "prompt": "a fox", "background": "auto", "model": "gpt-image-2", "quality": "auto",
        "size": "auto",
    }  # fmt: skip


def test_an_edit_has_its_pictures_and_a_path_of_its_own() -> None:
    path, body = to_backend(ImageRequest("a fox", inputs=(URL, URL)))
    assert path == "/images/edits"
    assert body["images"] == [{"image_url": URL}] * 2


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        (None, "gpt-image-2"),
        ("gpt-image-1", "gpt-image-2"),
        ("gpt-image-1.5", "gpt-image-2"),
        ("dall-e-3", "gpt-image-2"),
        ("dall-e-2", "gpt-image-2"),
        ("gpt-image-2", "gpt-image-2"),
        ("gpt-image-2.5-large", "gpt-image-2.5-large"),  # the backend decides
    ],
)
def test_names_that_clients_have_built_in_are_mapped(name: str | None, sent: str) -> None:
    assert to_backend(asked(model=name))[1]["model"] == sent


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ("auto", "auto"),
        ("1024x1024", "1024x1024"),
        ("256x256", "1024x1024"),
        ("1792x1024", "1536x1024"),
        ("1024x1792", "1024x1536"),
        ("3840x16", "1536x1024"),
        ("16x3840", "1024x1536"),
        ("1100x1000", "1024x1024"),
    ],
)
def test_the_nearest_size_that_the_backend_makes_is_asked_for(size: str, sent: str) -> None:
    assert to_backend(asked(size=size))[1]["size"] == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [("standard", "medium"), ("hd", "high"), ("low", "low"), ("max", "max"), (None, "auto")],
)
def test_quality_has_older_names_too(given: str | None, sent: str) -> None:
    assert to_backend(asked(quality=given))[1]["quality"] == sent


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"size": "7x7"}, "size"),
        ({"size": "big"}, "size"),
        ({"size": "4000x4000"}, "size"),
        ({"size": "1024x1024\n"}, "size"),
        ({"quality": "ultra"}, "quality"),
        ({"background": "red"}, "background"),
        ({"n": 0}, "n"),
        ({"n": 11}, "n"),
        ({"n": "two"}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"stream": True, "response_format": "url"}, "response_format"),
        ({"response_format": "svg"}, "response_format"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 50}, "output_compression"),
        ({"output_compression": 101, "output_format": "webp"}, "output_compression"),
        ({"output_format": "jpeg", "background": "transparent"}, "background"),
        ({"partial_images": 4, "stream": True}, "partial_images"),
        ({"moderation": "none"}, "moderation"),
        ({"markup": "x"}, "markup"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(**body)
    assert caught.value.param == param


def test_a_missing_prompt_is_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        from_client({})
    assert (caught.value.param, caught.value.code) == ("prompt", "missing_required_parameter")


@pytest.mark.parametrize(
    "field", ["style", "user", "safety_identifier", "steps", "negative_prompt"]
)
def test_what_only_tunes_is_ignored_by_name(field: str) -> None:
    _, ignored = from_client({"prompt": "a fox", field: "vivid"})
    assert ignored == (field,)
    with pytest.raises(InvalidRequest):
        from_client({"prompt": "a fox", field: "vivid"}, strict=True)


def test_partial_images_without_a_stream_are_ignored_by_name() -> None:
    request, ignored = from_client({"prompt": "a fox", "partial_images": 2})
    assert ignored == ("partial_images",)
    assert request.to_image_request().partial_images == 0
    with pytest.raises(InvalidRequest) as caught:
        from_client({"prompt": "a fox", "partial_images": 2}, strict=True)
    assert caught.value.param == "partial_images"
    assert from_client({"prompt": "a fox", "partial_images": 0}, strict=True)[1] == ()


def test_a_compression_that_is_the_default_asks_nothing_of_a_png() -> None:
    request, _ = from_client({"prompt": "a", "output_format": "png", "output_compression": 100})
    assert request.compression is None


@pytest.mark.parametrize(
    ("body", "urls"),
    [
        ({}, False),
        ({"model": "gpt-image-1"}, False),
        ({"model": "dall-e-3"}, True),  # its clients read `url` without asking for it
        ({"model": "dall-e-3", "response_format": "b64_json"}, False),
        ({"response_format": "url"}, True),
    ],
)
def test_addresses_are_for_those_who_expect_them(body: dict[str, Any], urls: bool) -> None:
    request, _ = from_client({"prompt": "a fox", **body})
    assert request.wants_urls is urls


@pytest.mark.parametrize(
    ("more", "tool"),
    [
        ({}, False),
        ({"stream": True}, False),
        ({"stream": True, "partial_images": 0}, False),
        ({"stream": True, "partial_images": 2}, True),
    ],
)
def test_the_tool_is_for_what_the_endpoint_lacks(more: dict[str, Any], tool: bool) -> None:
    assert asked(**more).needs_the_tool is tool
    assert ImageRequest("a fox", mask=URL).needs_the_tool


def test_the_tool_is_asked_for_everything() -> None:
    request, _ = from_client(
        {
            "prompt": "a fox", "stream": True, "partial_images": 2, "size": "1024x1536",
            "quality": "low", "background": "opaque", "moderation": "low",
            "input_fidelity": "high", "output_format": "webp", "output_compression": 40,
        },
        rules=EDIT_RULES,
    )  # fmt: skip
    sent = to_responses(request.to_image_request(inputs=(URL,), mask=URL), host="gpt-6.1-sol")
    assert sent["tools"] == [
        {
            "type": "image_generation", "action": "edit", "size": "1024x1536", "quality": "low",
            "background": "opaque", "output_format": "webp", "output_compression": 40,
            "partial_images": 2, "input_image_mask": {"image_url": URL}, "moderation": "low",
            "input_fidelity": "high",
        }
    ]  # fmt: skip
    assert sent["tool_choice"] == {"type": "image_generation"}
    assert sent["model"] == "gpt-6.1-sol"
    assert sent["input"][0]["content"] == [
        {"type": "input_text", "text": "a fox"},
        {"type": "input_image", "image_url": URL},
    ]


def test_whole_pictures_are_converted_by_us() -> None:
    request, _ = from_client({"prompt": "a", "output_format": "webp", "output_compression": 40})
    (tool,) = to_responses(request.to_image_request(mask=URL), host="m")["tools"]
    assert tool["output_format"] == "png"
    assert "output_compression" not in tool


def test_no_picture_stands_in_a_repr() -> None:
    assert "AAAA" not in repr(ImageRequest("a", inputs=(URL,), mask=URL))
