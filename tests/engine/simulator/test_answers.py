"""What the simulated backend answers: texts, tool calls, searches, pictures, compactions."""

from __future__ import annotations

import base64
import json

import pytest
from tests.engine.simulator.exchanges import (
    PATCH,
    PIXEL,
    WEATHER,
    JsonObject,
    ask,
    call_pair,
    function,
    pixels_of,
    user,
)

from codexapi_engine.simulator import Simulator


async def test_a_greeting_is_returned_and_says_that_it_is_simulated() -> None:
    assert (await ask("Say hello")).text.startswith("Hello! This is the simulated Codex backend")


async def test_other_words_are_said_back() -> None:
    answer = await ask("Why is the sky blue?")
    assert "simulated" in answer.text
    assert "“Why is the sky blue?”" in answer.text


async def test_images_and_files_are_seen() -> None:
    image = {"type": "input_image", "image_url": PIXEL}
    far = {"type": "input_image", "image_url": "https://example.com/a.png"}
    file = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,"}
    assert "I see one image, 4×3 PNG." in (await ask(input=[user("What?", image)])).text
    text = (await ask(input=[user("What?", image, far, file)])).text
    assert "I see 2 images, 4×3 PNG, a.png from example.com." in text
    assert "I see one file, a.pdf." in text


async def test_what_a_picture_and_a_page_say_of_themselves_is_told() -> None:
    png = base64.b64decode(PIXEL.partition(",")[2])
    caption = b"tEXtTitle\0A cat"
    captioned = png[:33] + (len(caption) - 4).to_bytes(4) + caption + bytes(4) + png[33:]
    page = base64.b64encode(b"%PDF-1.4 BT (Two) Tj (words) Tj ET").decode()
    image = {
        "type": "input_image",
        "image_url": f"data:image/png;base64,{base64.b64encode(captioned).decode()}",
    }
    file = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": f"data:application/pdf;base64,{page}",
    }
    text = (await ask(input=[user("What?", image, file)])).text
    assert "4×3 PNG (“A cat”)" in text
    assert "a.pdf (“Two words”)" in text


@pytest.mark.parametrize(
    ("prompt", "changes", "calls"),
    [
        ("The weather in Paris?", {}, [{"location": "Paris"}]),
        ("The weather in Paris and Rome?", {}, [{"location": "Paris"}, {"location": "Rome"}]),
        ("The weather in Oslo, Rome and New York", {}, [{"location": "Oslo"}, {"location": "Rome"}, {"location": "New York"}]),
        ("The weather in San Francisco, CA", {}, [{"location": "San Francisco, CA"}]),
        ("Weather in Paris and Rome?", {"parallel_tool_calls": False}, [{"location": "Paris"}]),
        ("Is it wet? unit: F", {"tool_choice": "required"}, [{"location": "simulated location", "unit": "F"}]),
        ("hello", {"tool_choice": {"type": "function", "name": "get_weather"}}, [{"location": "simulated location"}]),
        ("hello", {}, []),
        ("The weather in Paris?", {"tool_choice": "none"}, []),
    ],
)  # fmt: skip
async def test_a_tool_is_called_where_the_prompt_needs_it(
    prompt: str, changes: JsonObject, calls: list[JsonObject]
) -> None:
    answer = await ask(prompt, tools=[WEATHER, PATCH], **changes)
    assert answer.calls == [("get_weather", call) for call in calls]
    assert len({item["id"] for item in answer.items}) == len(answer.items)


async def test_a_reminder_of_the_client_is_no_question() -> None:
    reminder = "<system-reminder>\nThe weather in Paris? [[empty]]\n</system-reminder>\n"
    both = user(reminder, {"type": "input_text", "text": "What is new?"})
    for message in (both, user(reminder + "What is new?")):
        answer = await ask(input=[message], tools=[WEATHER])
        assert answer.calls == []
        assert "You said: “What is new?”" in answer.text


async def test_a_prompt_that_a_transcript_quotes_is_no_script() -> None:
    """Claude Code has transcripts judged, a line of JSON for each message."""
    quotation = json.dumps({"user": '[[tool f {"a": 1}]]'})
    answer = await ask(quotation, tools=[WEATHER])
    assert answer.calls == []
    assert "You said" in answer.text


async def test_pictures_and_files_that_a_tool_gives_are_seen() -> None:
    file = "data:application/pdf;base64," + base64.b64encode(b"(Two words) Tj").decode()
    output = [
        {"type": "input_text", "text": "Here."},
        {"type": "input_image", "image_url": PIXEL},
        {"type": "input_file", "filename": "a.pdf", "file_data": file},
    ]
    *before, empty = call_pair()["input"]
    answer = await ask(input=[*before, {**empty, "output": output}])
    assert answer.text.endswith("f said: Here.\n4×3 PNG\na.pdf (“Two words”)")


async def test_among_many_tools_a_single_word_of_a_description_calls_none() -> None:
    others = [function(f"other_{number}", description="") for number in range(8)]
    question = "Which place is nice?"
    assert (await ask(question, tools=[WEATHER])).calls
    assert (await ask(question, tools=[WEATHER, *others])).calls == []
    assert (await ask("The weather in Paris?", tools=[WEATHER, *others])).calls


async def test_no_tool_is_called_against_the_prompt_and_the_answer_has_the_tags() -> None:
    prompt = "Do NOT call any tools. Give an <analysis> block followed by a <summary> block."
    answer = await ask(f"The weather in Paris? {prompt}", tools=[WEATHER])
    assert answer.calls == []
    assert "<analysis>" in answer.text
    assert answer.text.endswith("\n</summary>")


async def test_arguments_come_in_pieces_that_make_the_whole() -> None:
    answer = await ask("The weather in Paris and Rome?", tools=[WEATHER])
    for item in answer.items[1:]:
        pieces = [
            event.json["delta"]
            for event in answer.events
            if event.type.endswith("arguments.delta") and event.json["item_id"] == item["id"]
        ]
        assert len(pieces) > 1
        assert "".join(pieces) == item["arguments"]


async def test_the_outputs_of_the_tools_are_told() -> None:
    asked_for = "The weather in Paris?"
    first = await ask(asked_for, tools=[WEATHER])
    call = first.items[-1]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "21 °C"}
    answer = await ask(tools=[WEATHER], input=[user(asked_for), *first.items, output])
    assert answer.calls == []
    assert "get_weather said: 21 °C" in answer.text
    again = await ask(
        tools=[WEATHER],
        input=[user(asked_for), *first.items, output, user("And the weather in Rome?")],
    )
    assert again.calls == [("get_weather", {"location": "Rome"})]


async def test_tools_are_called_one_after_another() -> None:
    said = [user("Look up the temperature in Oslo and play music for it")]
    tools = [
        function(
            "get_temperature",
            parameters={
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        ),
        function(
            "play_music",
            parameters={
                "type": "object",
                "properties": {"level": {"type": "number"}},
                "required": ["level"],
            },
        ),
    ]
    simulator, calls = Simulator(), []
    for output in ("15", "A song"):
        answer = await ask(by=simulator, tools=tools, input=said)
        calls += answer.calls
        call = {"call_id": answer.items[-1]["call_id"], "output": output}
        said = [*said, *answer.items, {"type": "function_call_output", **call}]
    assert calls == [("get_temperature", {"city": "Oslo"}), ("play_music", {"level": 15})]
    assert "A song" in (await ask(by=simulator, tools=tools, input=said)).text


async def test_a_custom_tool_gets_text() -> None:
    answer = await ask("[[tool apply_patch *** Begin\nhere]]", tools=[PATCH])
    assert answer.calls == [("apply_patch", "*** Begin\nhere")]
    assert answer.items[-1]["type"] == "custom_tool_call"
    assert "response.custom_tool_call_input.delta" in answer
    assert "response.custom_tool_call_input.done" in answer


async def test_a_scripted_call_takes_json_as_it_stands() -> None:
    answer = await ask(
        '[[tool f {"a": [[1]]}]] [[tool g {}]]', tools=[function("f"), function("g")]
    )
    assert answer.calls == [("f", {"a": [[1]]}), ("g", {})]


async def test_tools_are_called_as_often_as_asked() -> None:
    assert len((await ask("[[tools 4]]", tools=[WEATHER])).calls) == 4


async def test_a_search_is_cited() -> None:
    answer = await ask("Search the latest news", tools=[{"type": "web_search"}, WEATHER])
    search, message = answer.items[1:]
    assert search["type"] == "web_search_call"
    assert search["action"]["query"] == "Search the latest news"
    [annotation] = message["content"][0]["annotations"]
    assert annotation["type"] == "url_citation"
    assert answer.text[annotation["start_index"] : annotation["end_index"]] == "example.com"
    for kind in ("web_search_call.searching", "output_text.annotation.added"):
        assert f"response.{kind}" in answer


async def test_an_image_comes_with_its_partial_ones() -> None:
    tool = {"type": "image_generation", "partial_images": 2, "size": "1024x1536"}
    answer = await ask("Draw a cat", tools=[tool])
    image = answer.items[1]
    assert (image["type"], image["status"]) == ("image_generation_call", "generating")
    assert pixels_of(base64.b64decode(image["result"]))[:2] == (1024, 1536)
    partial = "response.image_generation_call.partial_image"
    shown = [event.json for event in answer.events if event.type == partial]
    assert [event["partial_image_index"] for event in shown] == [0, 1]
    assert len({event["partial_image_b64"] for event in shown} | {image["result"]}) == 3
    added = next(
        event.json["item"] for event in answer.events if event.json.get("output_index") == 1
    )
    assert "result" not in added


async def test_a_compaction_is_one_item() -> None:
    answer = await ask(input=[user("a"), {"type": "compaction_trigger"}])
    [item] = answer.items
    assert set(item) == {"type", "id", "encrypted_content"}
    assert item["type"] == "compaction"
    assert "response.output_item.added" not in answer


async def test_answers_can_be_sent_back() -> None:
    simulator = Simulator()
    said = [user("The weather in Oslo?")]
    for _ in range(3):
        answer = await ask(by=simulator, tools=[WEATHER, PATCH], input=said)
        assert answer.status == 200
        said = [*said, *answer.items]
        for item in answer.items:
            if item["type"] == "function_call":
                output = {"call_id": item["call_id"], "output": "wet"}
                said.append({"type": "function_call_output", **output})
        said.append(user("The weather in Rome?"))
    usage = answer.events[-1].json["response"]["usage"]
    assert usage["input_tokens"] > 0
