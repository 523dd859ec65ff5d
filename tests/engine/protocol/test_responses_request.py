"""Responses requests: what of a client's the backend gets, and requests of our own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import response_create_params as params

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject, responses
from codexapi_engine.protocol.responses import backend
from codexapi_engine.protocol.responses.request import RULES, caller_param, from_client
from codexapi_engine.protocol.rules import FieldRule

ITEM: JsonObject = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "hi"}],
}


def sent(**more: Any) -> JsonObject:
    return from_client({"model": "m", "input": "hi", **more})[0]


def sent_up(**more: Any) -> JsonObject:
    """What the backend gets in the end."""
    return responses.to_backend(sent(**more))


def one(item: JsonObject) -> JsonObject:
    (found,) = sent_up(input=[item])["input"]
    assert isinstance(found, dict)
    return found


def refusal(given: JsonObject, *, strict: bool = False) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        from_client({"model": "m", "input": "hi", **given}, strict=strict)
    return caught.value


def test_every_field_of_the_official_client_has_a_rule() -> None:
    official = set(params.ResponseCreateParamsBase.__annotations__)
    official |= set(params.ResponseCreateParamsStreaming.__annotations__)
    assert official - set(RULES) == set()
    assert set(RULES) - official == {"client_metadata", "frequency_penalty", "presence_penalty"}


IGNORED: JsonObject = {
    "temperature": 0.5, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": 1,
    "max_output_tokens": 16, "max_tool_calls": 1, "truncation": "auto", "user": "u",
    "safety_identifier": "s", "prompt_cache_options": {}, "prompt_cache_retention": "24h",
    "image": {"context_compression": "auto"},
}  # fmt: skip
REFUSED: JsonObject = {
    "top_logprobs": 2, "background_options": {}, 
    "prompt": {"id": "p"}, "context_management": [],
    "moderation": {}, "access_programs": ["x"],
}  # fmt: skip


def test_the_tables_of_this_test_are_complete() -> None:
    assert {name for name, rule in RULES.items() if rule is FieldRule.IGNORED} == set(IGNORED)
    assert {name for name, rule in RULES.items() if rule is FieldRule.REFUSED} == set(REFUSED)


@pytest.mark.parametrize("name", IGNORED)
def test_an_ignored_field_is_told_and_not_sent(name: str) -> None:
    made, ignored = from_client({"model": "m", "input": "hi", name: IGNORED[name]})
    assert ignored == (name,)
    assert made == {"model": "m", "input": [ITEM]}
    assert refusal({name: IGNORED[name]}, strict=True).param == name


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_field_is_named(name: str) -> None:
    error = refusal({name: REFUSED[name]})
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", name)
    assert from_client({"model": "m", "input": "hi", name: None}, strict=True)[1] == ()


@pytest.mark.parametrize(
    "more",
    [
        {"store": False},
        {"background": False},
        {"truncation": "disabled"},
        {"top_logprobs": 0},
        {"presence_penalty": 0.0},
        {"temperature": None},
    ],
)
def test_a_value_that_asks_for_nothing_is_no_matter(more: JsonObject) -> None:
    assert from_client({"model": "m", "input": "hi", **more}, strict=True)[1] == ()


@pytest.mark.parametrize(
    "more",
    [
        {"vendor": {"x": 1}}, {"client_metadata": {"a": "b"}}, {"instructions": "Be brief."},
        {"tools": [{"type": "function", "name": "f", "parameters": {}}]}, {"tools": [{"type": "hologram"}]},
        {"tool_choice": {"type": "function", "name": "f"}}, {"parallel_tool_calls": False},
        {"reasoning": {"effort": "low", "context": "all"}}, {"text": {"verbosity": "low"}},
        {"include": ["reasoning.encrypted_content", "vendor.thing"]}, {"prompt_cache_key": "k"},
    ],
)  # fmt: skip
def test_a_translated_or_unknown_field_passes_as_it_came(more: JsonObject) -> None:
    made, ignored = from_client({"model": "m", "input": "hi", **more})
    assert made == {"model": "m", "input": [ITEM], **more}
    assert ignored == ()


@pytest.mark.parametrize(
    "more",
    [
        {"stream": True},
        {"stream_options": {"include_obfuscation": False}},
        {"metadata": {"a": "b"}},
    ],
)
def test_what_we_honour_ourselves_is_not_sent(more: JsonObject) -> None:
    assert sent(**more) == {"model": "m", "input": [ITEM]}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"role": "user", "content": "hi"}, ITEM),
        ({"role": "assistant", "content": "yo"}, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yo"}]}),
        ({"role": "system", "content": "x"}, {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]}),
        ({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [], "phase": "commentary"},
         {"type": "message", "id": "msg_1", "role": "assistant", "content": [], "phase": "commentary"}),
        ({**ITEM, "id": "abc"}, ITEM),
        ({**ITEM, "id": None}, ITEM),
        ({"type": "function_call", "id": "call_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
         {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
        ({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
         {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}),
        ({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}),
        ({"type": "web_search_call", "id": "ws_1", "status": "completed"}, {"type": "web_search_call", "id": "ws_1"}),
        ({"type": "additional_tools", "tools": []}, {"type": "additional_tools", "tools": []}),
    ],
)  # fmt: skip
def test_an_item_is_made_fit_for_the_backend(item: JsonObject, expected: JsonObject) -> None:
    assert one(item) == expected


def test_reasoning_of_which_only_the_id_is_left_is_dropped() -> None:
    assert sent(input=[{"type": "reasoning", "id": "rs_1", "summary": []}, ITEM])["input"] == [ITEM]


@pytest.mark.parametrize(
    ("given", "param", "status", "code"),
    [
        ({"input": None}, "input", 400, "missing_required_parameter"),
        ({"input": 7}, "input", 400, "invalid_type"),
        ({"input": [7]}, "input[0]", 400, "invalid_type"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role", 400, "invalid_value"),
        ({"input": [ITEM, {"role": "user"}]}, "input[1].content", 400, "invalid_type"),
        ({"input": [{"type": "item_reference", "id": "rs_1"}]}, "input[0].id", 404, None),
        ({"model": 7}, "model", 400, "invalid_type"),
        ({"stream": 1}, "stream", 400, "invalid_type"),
        ({"temperature": 2.5}, "temperature", 400, "invalid_value"),
        ({"top_p": -0.1}, "top_p", 400, "invalid_value"),
        ({"max_output_tokens": 15}, "max_output_tokens", 400, "invalid_value"),
        ({"max_tool_calls": 0}, "max_tool_calls", 400, "invalid_value"),
        ({"max_tool_calls": "1"}, "max_tool_calls", 400, "invalid_type"),
        ({"conversation": "bad-id"}, "conversation", 400, "invalid_value"),
        ({"conversation": {"id": "bad-id"}}, "conversation.id", 400, "invalid_value"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id", 400, "missing_required_parameter"),
        ({"input": [ITEM, {"type": "custom_tool_call_output", "call_id": 7, "output": ""}]}, "input[1].call_id", 400, "invalid_type"),
        ({"metadata": {"a": 1}}, "metadata.a", 400, "invalid_type"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata", 400, "invalid_value"),
        ({"tools": [{"type": "web_search"}, {"type": "mcp"}]}, "tools[1].type", 400, "unsupported_value"),
        ({"tools": [{"type": "file_search"}]}, "tools[0].type", 400, "unsupported_value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    given: JsonObject, param: str, status: int, code: str | None
) -> None:
    error = refusal(given)
    assert (error.param, error.status, error.code) == (param, status, code)


def test_logprobs_are_left_out_of_what_is_included_and_named_unless_strict() -> None:
    include = ["message.output_text.logprobs", "reasoning.encrypted_content"]
    made, ignored = from_client({"model": "m", "input": "hi", "include": include})
    assert (made["include"], ignored) == (include[1:], ("include",))
    assert refusal({"include": include}, strict=True).param == "include"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"generate_summary": "auto"}, {"summary": "auto"}),
        (
            {"generate_summary": "auto", "summary": "detailed", "effort": "low"},
            {"summary": "detailed", "effort": "low"},
        ),
        ({"effort": "low"}, {"effort": "low"}),
    ],
)
def test_the_old_name_of_a_summary_is_the_new_one(given: JsonObject, expected: JsonObject) -> None:
    assert sent(reasoning=given)["reasoning"] == expected


@pytest.mark.parametrize(
    ("tier", "expected", "ignored"),
    [
        ("priority", "priority", ()),
        ("fast", "priority", ()),
        ("flex", "flex", ()),
        ("auto", None, ()),
        ("default", None, ()),
        ("scale", None, ("service_tier",)),
    ],
)
def test_only_tiers_that_the_backend_has_are_sent(
    tier: str, expected: str | None, ignored: tuple[str, ...]
) -> None:
    made, told = from_client({"model": "m", "input": "hi", "service_tier": tier})
    assert made.get("service_tier") == expected
    assert told == ignored


@pytest.mark.parametrize(
    ("words", "form", "added"),
    [
        ("hi", {"type": "json_object"}, True),
        ("hi in JSON", {"type": "json_object"}, False),
        ("hi", {"type": "text"}, False),
        ("hi", None, False),
    ],
)
def test_json_object_needs_the_word_in_the_input(
    words: str, form: JsonObject | None, added: bool
) -> None:
    made = sent_up(input=words, text={"format": form}, instructions="Answer in JSON.")
    assert (made["input"][0]["role"] == "developer") is added
    assert "json" in json.dumps(made["input"]).lower() or not added


def test_a_long_cache_key_is_shortened_and_stays_the_same() -> None:
    keys = {sent(prompt_cache_key="k" * 65)["prompt_cache_key"] for _ in range(2)}
    assert [len(key) for key in keys] == [64]
    assert sent(prompt_cache_key="k" * 64)["prompt_cache_key"] == "k" * 64


def test_the_clients_body_is_left_as_it_was() -> None:
    given = {
        "model": "m", "input": [{"role": "system", "content": "x", "id": "1"}], "tools": [{"type": "web_search_preview"}],
        "reasoning": {"generate_summary": "auto"}, "text": {"format": {"type": "json_object"}}, "service_tier": "scale",
    }  # fmt: skip
    before = json.dumps(given)
    from_client(given)
    assert json.dumps(given) == before


def test_what_the_backend_insists_on_is_laid_over() -> None:
    made = responses.to_backend(
        {"model": "m", "input": [], "stream": False, "store": True, "instructions": "", "x": 1}
    )
    assert made == {
        "model": "m", "input": [], "stream": True, "store": False, "x": 1,
        "instructions": backend.INSTRUCTIONS, "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": backend.conversation_key({"model": "m", "instructions": "", "input": []}),
    }  # fmt: skip
    include = ["a", "reasoning.encrypted_content"]
    kept = responses.to_backend({"instructions": "Mine.", "include": include})
    assert (kept["instructions"], kept["include"]) == ("Mine.", include)
    assert responses.to_backend({"include": ["a"]})["include"] == include
    assert responses.to_backend({"prompt_cache_key": "mine"})["prompt_cache_key"] == "mine"


def test_requests_of_our_own() -> None:
    assert backend.request("hi", model="m") == {"model": "m", "input": [ITEM]}
    assert backend.request([ITEM], model="m", instructions="I", effort="low") == {
        "model": "m", "input": [ITEM], "instructions": "I", "reasoning": {"effort": "low"},
    }  # fmt: skip
    assert responses.user("hi", ["https://example.org/a"])["content"] == [
        {"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "https://example.org/a"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"store": "yes"}, "store", "invalid_type"),
        ({"background": 1}, "background", "invalid_type"),
        ({"background": True, "store": False}, "background", "invalid_value"),
        ({"previous_response_id": 5}, "previous_response_id", "invalid_type"),
        ({"previous_response_id": "a", "conversation": "b"}, "previous_response_id", "mutually_exclusive_parameters"),
        ({"conversation": 5}, "conversation", "invalid_type"),
        ({"conversation": {"name": "x"}}, "conversation.id", "missing_required_parameter"),
        ({"metadata": {f"k{n}": "v" for n in range(17)}}, "metadata", "invalid_value"),
        ({"metadata": {"k" * 65: "v"}}, "metadata", "invalid_value"),
        ({"metadata": {"k": "v" * 513}}, "metadata", "invalid_value"),
    ],
)  # fmt: skip
def test_what_is_to_be_kept_is_checked(more: JsonObject, param: str, code: str) -> None:
    error = refusal(more)
    assert (error.status, error.param, error.code) == (400, param, code)


@pytest.mark.parametrize(
    "more",
    [
        {"store": True},
        {"store": False},
        {"background": True},
        {"previous_response_id": "resp_1"},
        {"conversation": {"id": "conv_1"}},
        {"conversation": "conv_1"},
        {"metadata": {"k" * 64: "v" * 512}},
    ],
)
def test_what_is_kept_by_us_is_not_sent(more: JsonObject) -> None:
    made, ignored = from_client({"model": "m", "input": "hi", **more}, strict=True)
    assert (made, ignored) == ({"model": "m", "input": [ITEM]}, ())


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_the_input_may_be_missing_where_something_goes_before_it(name: str) -> None:
    made, _ = from_client({"model": "m", name: "conv_x"}, history=[{**ITEM, "status": "completed"}])
    assert made["input"] == [ITEM]


def test_the_past_goes_before_the_input_and_errors_count_without_it() -> None:
    past = [{"role": "assistant", "content": "yo"}]
    made, _ = from_client({"model": "m", "input": "hi"}, history=past)
    assert [item["role"] for item in made["input"]] == ["assistant", "user"]
    with pytest.raises(InvalidRequest) as caught:
        from_client({"model": "m", "input": [{"role": "robot", "content": "x"}]}, history=past)
    assert caught.value.param == "input[0].role"


def test_a_request_of_our_own_says_what_was_asked_for_and_nothing_more() -> None:
    assert backend.request("hi", model="m") == {"model": "m", "input": [ITEM]}
    made = backend.request(
        [ITEM],
        model="m",
        instructions="i",
        effort="low",
        summary=True,
        form=backend.json_form({"type": "string"}),
        search=True,
    )
    assert made["instructions"] == "i"
    assert made["reasoning"] == {"effort": "low", "summary": "auto"}
    assert made["text"]["format"] == {
        "type": "json_schema", "name": "answer", "schema": {"type": "string"}, "strict": True,
    }  # fmt: skip
    assert made["tools"] == [{"type": "web_search", "external_web_access": True}]


def test_a_users_message_has_its_text_first_and_files_last() -> None:
    data = "data:application/pdf;base64,AA"
    item = backend.user("t", ["https://a/b.png"], [("a.pdf", data), ("b.pdf", "https://a/b.pdf")])
    assert item["content"] == [
        {"type": "input_text", "text": "t"},
        {"type": "input_image", "image_url": "https://a/b.png"},
        {"type": "input_file", "filename": "a.pdf", "file_data": data},
        {"type": "input_file", "file_url": "https://a/b.pdf"},
    ]


def test_a_picture_alone_has_no_empty_text_beside_it() -> None:
    assert [part["type"] for part in backend.user("", ["https://a/b"])["content"]] == [
        "input_image"
    ]
    assert backend.user("")["content"] == [{"type": "input_text", "text": ""}]


@pytest.mark.parametrize(
    ("param", "expected"),
    [
        (None, None),
        ("model", "model"),
        ("input", "input"),
        ("input[0].content[1]", "previous_response_id"),
        ("input[2]", "input[0]"),
        ("input[3].content[1].type", "input[2].content[1].type"),
    ],
)
def test_an_item_has_the_index_that_the_caller_gave_it(
    param: str | None, expected: str | None
) -> None:
    """Two items go before the caller's, and the second of those is left out."""
    own: list[JsonObject] = [ITEM, {"type": "reasoning", "id": "rs_1"}, ITEM]
    given = {"model": "m", "previous_response_id": "resp_1", "input": own}
    assert len(from_client(given, history=[ITEM, ITEM])[0]["input"]) == 4
    assert caller_param(param, given, [ITEM, ITEM], own) == expected
