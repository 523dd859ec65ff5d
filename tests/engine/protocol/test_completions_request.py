"""A legacy Completions request, as Responses requests."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import completion_create_params

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject, completions
from codexapi_engine.protocol.rules import FieldRule


def body(**more: Any) -> JsonObject:
    return {"model": "m", "prompt": "Once", **more}


def test_every_field_of_the_official_client_has_a_rule() -> None:
    official = set(completion_create_params.CompletionCreateParamsBase.__annotations__)
    assert set(completions.RULES) == official | {"stream"}


REFUSED = {"best_of": 2, "logit_bias": {"1": 5}, "logprobs": 0}
IGNORED = {
    "max_tokens": 5, "temperature": 0.5, "top_p": 0.5, "presence_penalty": 1,
    "frequency_penalty": -1, "seed": 1, "user": "u",
}  # fmt: skip


def test_the_tables_of_this_test_are_complete() -> None:
    by_rule = {rule: [n for n, r in completions.RULES.items() if r is rule] for rule in FieldRule}
    assert set(by_rule[FieldRule.REFUSED]) == set(REFUSED)
    assert set(by_rule[FieldRule.IGNORED]) == set(IGNORED)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_field_is_named(name: str, strict: bool) -> None:
    with pytest.raises(InvalidRequest, match=name) as caught:
        completions.from_client(body(**{name: REFUSED[name]}), strict=strict)
    assert (caught.value.param, caught.value.code) == (name, "unsupported_parameter")


@pytest.mark.parametrize("name", [*IGNORED, "a_field_of_tomorrow"])
def test_an_ignored_field_is_told_and_under_strict_refused(name: str) -> None:
    asked = body(**{name: IGNORED.get(name, 1)})
    assert completions.from_client(asked)[1] == (name,)
    with pytest.raises(InvalidRequest) as caught:
        completions.from_client(asked, strict=True)
    assert caught.value.param == name


@pytest.mark.parametrize(
    "harmless",
    [
        *({name: None} for name in completions.RULES if name not in ("model", "prompt")),
        {"best_of": 1},
        {"logit_bias": {}},
        {"presence_penalty": 0},
        {"frequency_penalty": 0},
    ],
)
def test_a_value_that_asks_for_nothing_is_no_matter(harmless: JsonObject) -> None:
    assert completions.from_client(body(**harmless), strict=True)[1] == ()


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"model": ""}, "model", "invalid_value"),
        ({"model": 1}, "model", "invalid_type"),
        ({"prompt": 1}, "prompt", "invalid_type"),
        ({"prompt": []}, "prompt", "invalid_type"),
        ({"prompt": [1, 2, 3]}, "prompt", "invalid_type"),
        ({"prompt": [[1, 2], [3]]}, "prompt", "invalid_type"),
        ({"prompt": ["a", 1]}, "prompt", "invalid_type"),
        ({"suffix": 1}, "suffix", "invalid_type"),
        ({"echo": "yes"}, "echo", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 9}, "n", "invalid_value"),
        ({"prompt": ["a", "b", "c"], "n": 3}, "prompt", "invalid_value"),
        ({"prompt": ["a"] * 9}, "prompt", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"stop": 1}, "stop", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"max_tokens": -1}, "max_tokens", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ],
)
def test_what_is_wrong_is_named(more: JsonObject, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        completions.from_client(body(**more))
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_model_is_required() -> None:
    with pytest.raises(InvalidRequest) as caught:
        completions.from_client({"prompt": "x"})
    assert (caught.value.param, caught.value.code) == ("model", "missing_required_parameter")


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("Once", ["Once"]),
        ("", [""]),
        (None, [""]),
        (["a", "b"], ["a", "b"]),
        (["a"] * 8, ["a"] * 8),
    ],
)
def test_each_prompt_is_a_run_of_its_own(prompt: Any, prompts: list[str]) -> None:
    request, _ = completions.from_client(body(prompt=prompt))
    assert completions.prompts(request) == prompts


def test_a_prompt_is_the_users_message_and_to_be_continued() -> None:
    request, _ = completions.from_client(body())
    made = completions.to_responses(request, "Once")
    assert made["model"] == "m"
    (message,) = made["input"]
    assert (message["role"], message["content"]) == (
        "user", [{"type": "input_text", "text": "Once"}],
    )  # fmt: skip
    assert "continuation" in made["instructions"]


def test_a_suffix_makes_a_gap_to_fill() -> None:
    request, _ = completions.from_client(body(suffix="the end."))
    made = completions.to_responses(request, "Once")
    (part,) = made["input"][0]["content"]
    assert part["text"].index("Once") < part["text"].index("the end.")
    assert "gap" in made["instructions"]
    # An empty one is a gap at the end.
    request, _ = completions.from_client(body(suffix=""))
    assert "gap" in completions.to_responses(request, "Once")["instructions"]


@pytest.mark.parametrize(
    ("more", "form"),
    [
        ({}, completions.CompletionOptions("m")),
        ({"echo": True}, completions.CompletionOptions("m", echo="Once")),
        ({"echo": False}, completions.CompletionOptions("m")),
        ({"stop": "x"}, completions.CompletionOptions("m", stop=("x",))),
        ({"stop": ["x", "y"]}, completions.CompletionOptions("m", stop=("x", "y"))),
        ({"stop": []}, completions.CompletionOptions("m")),
    ],
)
def test_the_form_of_the_reply_is_what_was_asked_for(
    more: JsonObject, form: completions.CompletionOptions
) -> None:
    request, _ = completions.from_client(body(**more))
    assert completions.form(request, "Once") == form
