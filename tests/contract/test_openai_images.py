"""Pictures through the official `openai` client, against a real `codexapi serve` process."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx2
import openai
import pytest
from openai import OpenAI
from tests.drawn import mask, opened, picture
from tests.processes import server, simulator

PNG = picture(size=(64, 48))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    login = tmp_path_factory.mktemp("login") / "codex"
    state = str(tmp_path_factory.mktemp("state"))
    with simulator(login) as backend:
        with server("--quiet", env={**backend.env, "CODEXAPI_STATE_DIR": state}) as door:
            yield door.url


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        yield client


def decoded(response: openai.types.ImagesResponse) -> list[bytes]:
    assert response.data
    return [base64.b64decode(image.b64_json or "") for image in response.data]


def test_generate_gives_the_pictures_and_what_they_are(client: OpenAI) -> None:
    response = client.images.generate(
        prompt="a red fox", model="gpt-image-1", n=2, size="1536x1024", background="transparent"
    )
    first, second = map(opened, decoded(response))
    assert first.size == second.size == (1536, 1024)
    assert (response.size, response.output_format) == ("1536x1024", "png")
    assert response.background == "transparent"
    assert first.mode == "RGBA"
    assert response.usage is not None
    assert response.usage.total_tokens > 0


def test_generate_tells_the_true_size_of_what_came(client: OpenAI) -> None:
    response = client.images.generate(prompt="a red fox", size="256x256")
    assert opened(decoded(response)[0]).size == (1024, 1024)
    assert response.size == "1024x1024"


@pytest.mark.parametrize("kind", ["webp", "jpeg"])
def test_generate_converts(client: OpenAI, kind: str) -> None:
    response = client.images.generate(
        prompt="a red fox",
        output_format=kind,  # type: ignore[call-overload]
        output_compression=30,
    )
    assert opened(decoded(response)[0]).format == kind.upper()
    assert response.output_format == kind


def test_an_address_leads_to_the_picture(client: OpenAI) -> None:
    response = client.images.generate(prompt="a red fox", response_format="url")
    assert response.data
    address = response.data[0].url
    assert address
    assert response.data[0].b64_json is None
    fetched = httpx2.get(address)
    assert fetched.status_code == 200
    assert fetched.headers["content-type"] == "image/png"
    assert opened(fetched.content).size == (1024, 1024)


def test_edit_takes_a_file(client: OpenAI) -> None:
    response = client.images.edit(image=("fox.png", PNG), prompt="in snow")
    assert opened(decoded(response)[0]).size == (1024, 1024)


def test_edit_takes_several_files(client: OpenAI) -> None:
    response = client.images.edit(image=[PNG, picture("jpeg"), picture("webp")], prompt="in snow")
    assert len(decoded(response)) == 1
    assert response.usage is not None
    assert response.usage.input_tokens_details.image_tokens > 0


def test_edit_takes_a_mask(client: OpenAI) -> None:
    response = client.images.edit(
        image=PNG, mask=mask((64, 48)), prompt="in snow", output_format="webp"
    )
    assert opened(decoded(response)[0]).format == "WEBP"


def test_a_variation_can_be_made(client: OpenAI) -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"):
        response = client.images.create_variation(image=PNG, response_format="b64_json", n=2)
    assert len(decoded(response)) == 2


def test_generate_streams_partial_pictures(client: OpenAI) -> None:
    stream = client.images.generate(prompt="a red fox", stream=True, partial_images=2)
    events = list(stream)
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [e.partial_image_index for e in events if e.type.endswith("partial_image")] == [0, 1]  # type: ignore[union-attr]
    last = events[-1]
    assert last.type == "image_generation.completed"
    image = opened(base64.b64decode(last.b64_json))
    assert last.size == f"{image.width}x{image.height}"
    assert last.usage.output_tokens > 0
    assert {type(event).__name__ for event in events} == {
        "ImageGenPartialImageEvent",
        "ImageGenCompletedEvent",
    }


def test_generate_streams_a_picture_that_comes_whole(client: OpenAI) -> None:
    (event,) = client.images.generate(prompt="a red fox", stream=True, output_format="webp")
    assert event.type == "image_generation.completed"
    assert opened(base64.b64decode(event.b64_json)).format == "WEBP"
    assert event.usage.total_tokens > 0


def test_edit_streams_too(client: OpenAI) -> None:
    events = list(client.images.edit(image=PNG, prompt="in snow", stream=True, partial_images=1))
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]


def test_the_image_tool_of_a_response_passes_through(client: OpenAI) -> None:
    response = client.responses.create(
        model="gpt-5.5", input="Draw a red fox", tools=[{"type": "image_generation"}]
    )
    (call,) = [item for item in response.output if item.type == "image_generation_call"]
    assert opened(base64.b64decode(call.result or "")).size == (1024, 1024)


def test_what_moderation_blocks_is_a_bad_request(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="[[blocked]]")
    assert caught.value.code == "moderation_blocked"
    assert caught.value.type == "image_generation_user_error"


def test_a_used_up_plan_is_a_rate_limit_error(client: OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.images.generate(prompt="[[status usage_limit_reached]]")


def test_a_stream_that_breaks_raises(client: OpenAI) -> None:
    stream = client.images.generate(prompt="[[cut 1]]", stream=True, partial_images=2)
    with pytest.raises(openai.APIError):
        list(stream)
