"""`codexapi serve --model-alias NAME=MODEL`."""

from __future__ import annotations

import subprocess

import openai
import pytest
from tests.processes import codexapi, environment, server

from codexapi_engine.setting_values import parse_alias


def test_the_flag_gives_models_other_names() -> None:
    flags = ("--model-alias", "gpt-4o=gpt-6-luna", "--model-alias", "quick=gpt-6-luna:low")
    with server("--demo", "--quiet", *flags) as running:
        with openai.OpenAI(base_url=running.url, api_key="none", max_retries=0) as client:
            assert [model.id for model in client.models.list()][-2:] == ["gpt-4o", "quick"]
            reply = client.completions.create(model="quick", prompt="[[say Hi]]")
    assert (reply.model, reply.choices[0].text) == ("gpt-6-luna", "Hi")


def test_a_flag_that_is_no_alias_is_a_usage_error() -> None:
    command = codexapi("serve", "--demo", "--model-alias", "gpt-4o")
    ran = subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 2
    assert "--model-alias: gpt-4o is not NAME=MODEL" in ran.stderr


@pytest.mark.parametrize(
    ("text", "alias"),
    [
        ("gpt-4o=gpt-6-luna", ("gpt-4o", "gpt-6-luna")),
        (" a = b:low ", ("a", "b:low")),
        ("a=b=c", ("a", "b=c")),
    ],
)
def test_an_alias_is_a_name_and_a_model(text: str, alias: tuple[str, str]) -> None:
    assert parse_alias(text) == alias


@pytest.mark.parametrize("text", ["", "a", "a=", "=b", " = "])
def test_what_lacks_one_of_the_two_is_no_alias(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=MODEL"):
        parse_alias(text)
