"""How the simulated backend sends an answer."""

from __future__ import annotations

import random

import pytest
from tests.clock import Clock
from tests.engine.simulator.exchanges import NOW, WEATHER, JsonObject, ask

from codexapi_engine.simulator import Simulator
from codexapi_engine.simulator.stream import odd_pieces


async def test_a_text_comes_in_the_order_of_the_real_backend() -> None:
    answer = await ask("[[say Hello]]")
    assert answer.types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",  # the reasoning
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    numbers = [event.json["sequence_number"] for event in answer.events]
    assert numbers == list(range(len(numbers)))
    delta = answer.events[6].json
    assert {**delta, "obfuscation": ""} == {
        "type": "response.output_text.delta",
        "sequence_number": 6,
        "item_id": answer.items[1]["id"],
        "output_index": 1,
        "content_index": 0,
        "delta": "Hello",
        "logprobs": [],
        "obfuscation": "",
    }
    assert delta["obfuscation"]
    assert answer.items[0]["encrypted_content"].startswith("gAAAAAB")
    assert answer.items[1]["phase"] == "final_answer"


async def test_the_last_event_has_an_empty_output_and_echoes_the_request() -> None:
    answer = await ask(tools=[{**WEATHER, "strict": None}], prompt_cache_key="key")
    begun, ended = answer.events[0].json["response"], answer.events[-1].json["response"]
    assert set(ended) - set(begun) == {"completed_at"}
    assert (begun["status"], ended["status"]) == ("in_progress", "completed")
    assert ended["output"] == []
    assert (begun["service_tier"], ended["service_tier"]) == ("auto", "default")
    assert ended["safety_identifier"].startswith("user-simulated")
    assert (ended["instructions"], ended["prompt_cache_key"]) == ("You are a test.", "key")
    # Without `strict` a function comes back as a strict one.
    assert ended["tools"][0]["strict"] is True
    assert ended["tools"][0]["parameters"]["required"] == ["location", "unit"]
    usage = ended["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert set(usage["input_tokens_details"]) == {"cached_tokens", "cache_write_tokens"}


async def test_a_stream_has_the_quota_in_its_headers_and_no_media_type() -> None:
    headers = (await ask()).headers
    assert "content-type" not in headers
    assert headers["openai-model"] == "gpt-6.1-sol"
    assert headers["x-codex-primary-used-percent"] == "12"
    assert headers["x-codex-primary-window-minutes"] == "300"
    assert int(headers["x-codex-primary-reset-at"]) == NOW + 9000
    assert headers["x-codex-secondary-window-minutes"] == "10080"
    assert headers["x-codex-plan-type"] == "plus"
    assert headers["x-request-id"].startswith("req_simulated_")


@pytest.mark.parametrize(
    ("reasoning", "reasons"),
    [({"effort": "none"}, False), ({"effort": "low"}, True), (None, True)],
)
async def test_reasoning_comes_first_unless_the_effort_is_none(
    reasoning: JsonObject | None, reasons: bool
) -> None:
    answer = await ask(reasoning=reasoning, by=Simulator(lenient={"model_effort"}))
    assert (answer.items[0]["type"] == "reasoning") is reasons


async def test_reasoning_is_not_encrypted_unasked() -> None:
    assert "encrypted_content" not in (await ask(include=None)).items[0]


async def test_a_wanted_summary_is_given() -> None:
    answer = await ask(reasoning={"summary": "auto"})
    assert len(answer.items[0]["summary"]) == 1
    assert "response.reasoning_summary_text.delta" in answer


async def test_chunks_are_cut_in_characters_and_between_lines() -> None:
    answer = await ask(f"[[say {'日本語 🙂 ' * 40}]]")
    assert any(chunk[0] & 0xC0 == 0x80 for chunk in answer.chunks)
    assert any(not chunk.endswith(b"\n\n") for chunk in answer.chunks)
    assert any(chunk.count(b"\n\n") > 1 for chunk in answer.chunks)
    assert answer.text == ("日本語 🙂 " * 40).strip()


@pytest.mark.parametrize("seed", range(20))
def test_a_cut_is_always_inside_a_character_where_there_is_one(seed: int) -> None:
    data = "é".encode() * 50
    pieces = odd_pieces(data, random.Random(seed))
    assert b"".join(pieces) == data
    assert any(piece[0] & 0xC0 == 0x80 for piece in pieces)


async def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again = await ask("hello"), await ask("hello")
    assert first.chunks == again.chunks
    other = await ask("hello", by=Simulator(clock=Clock(NOW), seed=1))
    assert first.chunks != other.chunks


async def test_no_two_answers_share_an_id() -> None:
    simulator = Simulator()
    answers = [await ask("[[tools 2]]", by=simulator, tools=[WEATHER]) for _ in range(3)]
    ids = [
        item[name]
        for answer in answers
        for item in answer.items
        for name in ("id", "call_id")
        if name in item
    ]
    ids += [answer.events[0].json["response"]["id"] for answer in answers]
    assert len(ids) == len(set(ids)) == 18
