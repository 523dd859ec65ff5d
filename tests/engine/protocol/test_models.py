"""The catalogue, and the list that we show."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import Model as OpenAIModel
from tests.wire_files import table

from codexapi_engine.protocol import models

CATALOGUE = models.parse(table("models"))


def test_the_first_model_is_the_accounts_default() -> None:
    assert [model.slug for model in CATALOGUE[:3]] == ["gpt-6.1-sol", "gpt-6-astra", "gpt-6-sol"]
    assert [model.priority for model in CATALOGUE] == sorted(model.priority for model in CATALOGUE)


def test_an_entry_is_read() -> None:
    model = CATALOGUE[0]
    (entry,) = (e for e in table("models")["models"] if e["slug"] == model.slug)
    assert model.raw == entry
    assert model.display_name == entry["display_name"]
    assert model.description == entry["description"]
    assert model.efforts == tuple(level["effort"] for level in entry["supported_reasoning_levels"])
    assert model.default_effort == entry["default_reasoning_level"]
    assert model.context_window == entry["context_window"]
    assert model.modalities == tuple(entry["input_modalities"])


def test_a_bare_entry_is_an_entry() -> None:
    (model,) = models.parse({"models": [{"slug": "bare"}]})
    assert model == models.Model(
        "bare", "bare", "", True, 1_000, (), None, None, ("text", "image"), {"slug": "bare"}
    )


@pytest.mark.parametrize(
    "catalogue", [{}, {"models": None}, {"models": [1, {}, {"slug": ""}, {"slug": 3}]}]
)
def test_what_is_no_model_is_left_out(catalogue: dict[str, Any]) -> None:
    assert models.parse(catalogue) == []


def test_the_public_list_suits_openai_clients_and_the_codex_client() -> None:
    shown = models.public_list(CATALOGUE)
    assert shown["object"] == "list"
    hidden = {model.slug for model in CATALOGUE if not model.listed}
    assert hidden
    assert [entry["id"] for entry in shown["data"]] == [
        m.slug for m in CATALOGUE if m.slug not in hidden
    ]
    assert shown["models"] == [model.raw for model in CATALOGUE]
    for entry in shown["data"]:
        OpenAIModel.model_validate(entry, strict=True)


def test_a_model_is_found_by_its_exact_name() -> None:
    found = models.find(CATALOGUE, "gpt-6-sol")
    assert found is not None
    assert found.slug == "gpt-6-sol"
    assert models.find(CATALOGUE, "gpt-6") is None


def test_near_names_are_suggested_else_the_first() -> None:
    assert models.suggestions(CATALOGUE, "gpt-6.1-soll")[0] == "gpt-6.1-sol"
    assert models.suggestions(CATALOGUE, "llama") == [m.slug for m in CATALOGUE if m.listed][:3]
    assert "codex-auto-review" not in models.suggestions(CATALOGUE, "codex-auto-revie")
    assert models.suggestions([], "x") == []
