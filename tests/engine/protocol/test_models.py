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


def entry_for_codex(entry: dict[str, Any]) -> dict[str, Any]:
    (shown,) = models.public_list(models.parse({"models": [entry]}))["models"]
    return dict(shown)


def test_what_the_codex_client_needs_of_an_entry_is_filled_in() -> None:
    """It drops the whole list for one entry that lacks any of these."""
    shown = entry_for_codex({"slug": "bare", "new": [1]})
    assert shown == {
        "slug": "bare", "new": [1], "display_name": "bare", "priority": 1_000,
        "supported_reasoning_levels": [], "shell_type": "shell_command", "visibility": "list",
        "supported_in_api": True, "support_verbosity": False,
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "experimental_supported_tools": [], "base_instructions": "",
    }  # fmt: skip
    assert entry_for_codex(shown) == shown


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ({"base_instructions": "Be brief."}, False),
        ({"model_messages": {"instructions_template": "Be brief."}}, False),
        ({"model_messages": {"instructions_template": None}}, True),
        ({"model_messages": None, "base_instructions": None}, True),
        ({"model_messages": "text"}, True),
    ],
)
def test_instructions_are_filled_in_only_where_an_entry_has_none(
    given: dict[str, Any], filled: bool
) -> None:
    shown = entry_for_codex({"slug": "bare", **given})
    if filled:
        assert shown["base_instructions"] == ""
    else:
        assert shown.get("base_instructions") == given.get("base_instructions")


def test_a_model_is_found_by_its_exact_name() -> None:
    found = models.find(CATALOGUE, "gpt-6-sol")
    assert found is not None
    assert found.slug == "gpt-6-sol"
    assert models.find(CATALOGUE, "gpt-6") is None


FIRST = next(model.slug for model in CATALOGUE if model.listed)


@pytest.mark.parametrize(
    ("asked", "default", "text", "instead"),
    [
        ("gpt-6.1-soll", None, " Did you mean `gpt-6.1-sol`?", "gpt-6.1-sol"),
        ("gpt4", None, " Did you mean `gpt-5.5`?", "gpt-5.5"),
        ("GPT-6-LUNA", None, " Did you mean `gpt-6-luna`?", "gpt-6-luna"),
        ("llama", None, "", FIRST),
        ("llama", "gpt-6-luna", "", "gpt-6-luna"),
        ("llama", "llama", "", FIRST),  # the user's own choice is what there is not
    ],
)
def test_an_unknown_name_has_a_hint_of_the_nearest_and_of_the_default(
    asked: str, default: str | None, text: str, instead: str
) -> None:
    usual = default if default and default != asked else FIRST
    assert models.hint(CATALOGUE, asked, default) == (f"{text} The default is `{usual}`.", instead)


def test_a_hint_names_no_hidden_model_and_none_where_none_is_known() -> None:
    assert models.hint(CATALOGUE, "codex-auto-revie").instead != "codex-auto-review"
    assert models.hint([], "x", "y") == ("", None)


# Names that are not the catalogue's own.

ALIASES = {"gpt-4o": "gpt-6-luna", "fast": "gpt-6-luna:low", "new": "gpt-9"}


@pytest.mark.parametrize(
    ("asked", "slug", "effort"),
    [
        ("gpt-6.1-sol", "gpt-6.1-sol", None),
        ("gpt-6.1-sol:high", "gpt-6.1-sol", "high"),
        ("gpt-6.1-sol:ultra", "gpt-6.1-sol", "ultra"),
        ("gpt-4o", "gpt-6-luna", None),
        ("gpt-4o:high", "gpt-6-luna", "high"),
        ("fast", "gpt-6-luna", "low"),
        ("new", "gpt-9", None),
        # Nothing is split off where one of the two halves is unknown.
        ("gpt-6.1-sol:hard", "gpt-6.1-sol:hard", None),
        ("gpt-6.1-sol:", "gpt-6.1-sol:", None),
        ("gpt-6.1-sol:HIGH", "gpt-6.1-sol:HIGH", None),
        ("gpt-9:high", "gpt-9:high", None),
        ("new:high", "new:high", None),
        (":high", ":high", None),
        ("ft:gpt-6.1-sol:me", "ft:gpt-6.1-sol:me", None),
        ("", "", None),
    ],
)
def test_a_name_is_a_slug_an_effort_or_an_alias(asked: str, slug: str, effort: str | None) -> None:
    assert models.resolve(CATALOGUE, ALIASES, asked) == (slug, effort)


def test_an_alias_goes_before_a_model_of_that_name() -> None:
    assert models.resolve(CATALOGUE, {"gpt-6-sol": "gpt-6-luna"}, "gpt-6-sol")[0] == "gpt-6-luna"


@pytest.mark.parametrize(
    ("efforts", "asked", "nearest"),
    [
        (("low", "medium", "high", "xhigh"), "high", "high"),
        (("low", "medium", "high", "xhigh"), "max", "xhigh"),
        (("low", "high"), "medium", "low"),  # of two that are equally near
        (("low", "high", "max"), "xhigh", "high"),
        (("medium", "xhigh"), "low", "medium"),
        (("low", "high"), "minimal", "low"),
        (("low", "high"), "none", "low"),
        (("none", "high"), "minimal", "none"),
        # A mode of the Codex client.
        (("low", "max", "ultra"), "ultra", "ultra"),
        (("low", "max"), "ultra", "max"),
        (("low", "ultra"), "max", "low"),
        # A name that is new to us.
        (("low", "extreme"), "extreme", "extreme"),
        (("low", "extreme"), "max", "low"),
        (("extreme",), "max", "max"),
        (("low", "high"), "hard", "hard"),
        ((), "high", "high"),
        ((), "minimal", "minimal"),
    ],
)
def test_an_effort_that_a_model_lacks_becomes_the_nearest(
    efforts: tuple[str, ...], asked: str, nearest: str
) -> None:
    assert models.nearest_effort(model_with(efforts), asked) == nearest


@pytest.mark.parametrize(
    ("efforts", "named", "sent"),
    [
        (("low", "max", "ultra"), "ultra", "max"),
        (("low", "ultra", "high"), "ultra", "high"),
        (("ultra",), "ultra", "max"),
        ((), "ultra", "max"),
        (("low", "max", "ultra"), "low", "low"),
        (("extreme",), "extreme", "extreme"),
    ],
)
def test_what_is_a_mode_of_the_codex_client_goes_up_as_the_highest_other(
    efforts: tuple[str, ...], named: str, sent: str
) -> None:
    assert models.sent_effort(model_with(efforts), named) == sent


def test_a_name_may_give_an_effort_that_only_the_catalogue_knows() -> None:
    known = [model_with(("low", "extreme"))]
    assert models.resolve(known, {}, "m:extreme") == ("m", "extreme")
    assert models.resolve(known, {}, "m:hard") == ("m:hard", None)


def model_with(efforts: tuple[str, ...]) -> models.Model:
    levels = [{"effort": effort} for effort in efforts]
    (model,) = models.parse({"models": [{"slug": "m", "supported_reasoning_levels": levels}]})
    return model


@pytest.mark.parametrize(
    ("needed", "version"),
    [
        ([], "0.171.0"),
        (["0.99.0", "0.170.9"], "0.171.0"),
        (["0.172.0", "0.171.10"], "0.172.0"),
        (["0.171.2", "0.171.10"], "0.171.10"),
        (["1.0.0"], "1.0.0"),
        (["newest", "", 5, None, "0.172", "0.172.0\r\nx: y"], "0.171.0"),
    ],
)
def test_the_version_is_the_newest_that_an_entry_asks_for(
    needed: list[object], version: str
) -> None:
    entries = [{"slug": f"m{at}", "minimal_client_version": v} for at, v in enumerate(needed)]
    found = models.parse({"models": entries})
    assert models.client_version(found, at_least="0.171.0") == version


def test_every_effort_of_the_catalogue_is_known() -> None:
    assert {effort for model in CATALOGUE for effort in model.efforts} <= set(models.EFFORTS)


def test_aliases_stand_after_the_plain_ids() -> None:
    plain = models.public_list(CATALOGUE)["data"]
    data = models.public_list(CATALOGUE, ALIASES)["data"]
    assert data[: len(plain)] == plain
    assert [entry["id"] for entry in data[len(plain) :]] == list(ALIASES)
    for entry in data:
        OpenAIModel.model_validate(entry, strict=True)


def test_an_entry_is_named_as_it_was_asked_for() -> None:
    plain = models.public(next(model for model in CATALOGUE if model.slug == "gpt-6-luna"))
    assert models.named(CATALOGUE, ALIASES, "gpt-6-luna") == plain
    assert models.named(CATALOGUE, ALIASES, "gpt-4o") == {
        **plain, "id": "gpt-4o", "alias_of": "gpt-6-luna",
    }  # fmt: skip
    for name, effort in (("fast", "low"), ("gpt-6-luna:xhigh", "xhigh")):
        assert models.named(CATALOGUE, ALIASES, name) == {
            **plain, "id": name, "alias_of": "gpt-6-luna", "default_reasoning_effort": effort,
        }  # fmt: skip
    assert models.named(CATALOGUE, ALIASES, "gpt-9") is None
    assert models.named(CATALOGUE, ALIASES, "gpt-9:high") is None
    assert models.named(CATALOGUE, ALIASES, "gpt-6-luna:hard") is None


def test_an_alias_of_what_the_catalogue_lacks_may_still_work() -> None:
    entry = models.named(CATALOGUE, ALIASES, "new")
    assert entry is not None
    assert (entry["id"], entry["alias_of"], entry["context_window"]) == ("new", "gpt-9", None)
