"""What `codexapi serve` gives its page, and `--no-page`."""

from __future__ import annotations

import json
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from tests.processes import server


def test_serve_has_a_page_with_the_texts_of_setup_and_none_with_no_page() -> None:
    with (
        server("--demo") as running,
        urlopen(f"{running.url.removesuffix('/v1')}/page/reference.json") as reply,
    ):
        reference = json.load(reply)
        programs = {one["name"]: one for one in reference["programs"]}
        assert programs["aider"]["parts"][0]["text"] == "codexapi setup aider\n"
        assert programs["curl"]["parts"][0]["text"].startswith(f"curl {running.url}/responses")
        assert reference["texts"]["response.output_text.delta"] == "answer"
        assert reference["texts"]["response.reasoning_text.delta"] == "reasoning"
    with server("--demo", "--no-page") as running:
        for path in ("/page/app.js", "/page/reference.json", "/status.json"):
            with pytest.raises(HTTPError) as refused:
                urlopen(f"{running.url.removesuffix('/v1')}{path}")
            assert refused.value.code == 404
            refused.value.close()
