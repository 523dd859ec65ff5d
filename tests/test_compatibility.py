"""`docs/compatibility.md` says what the code's tables say."""

from __future__ import annotations

from docs import compatibility

from codexapi_engine.protocol.chat.schema import RULES
from codexapi_http.errors import ABSENT
from codexapi_http.routes import ROUTES


def test_the_page_is_what_the_tables_say() -> None:
    told = compatibility.PAGE.read_text("utf-8")
    assert told == compatibility.page(), "write it anew: python docs/compatibility.py"


def test_the_page_has_every_endpoint_and_field() -> None:
    told = compatibility.page()
    for route in ROUTES:
        assert f" {route.path.replace(':path', '')}`" in told
    for name, rule in RULES.items():
        assert f"| `{name}` | {rule.value} |" in told
    for word, why in ABSENT.items():
        assert f"| `/v1/{word}…` | 404: the Codex backend has {why} |" in told


def test_the_page_has_no_block_that_would_be_run() -> None:
    assert "```" not in compatibility.page()


def test_scores_are_kept_where_the_page_is_written_anew() -> None:
    scores = "| suite | passed |\n|---|---|\n| any | 1 of 1 |\n"
    before = f"x\n{compatibility.BEGIN}\n{scores}{compatibility.END}\ny"
    assert scores in compatibility.scores(before)
    assert "Not measured" in compatibility.scores("")
