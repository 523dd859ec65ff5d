"""Writes `docs/compatibility.md`: what becomes of each endpoint and field, from the code's tables.

`python docs/compatibility.py` writes it anew; the gate compares. What stands between the two
`scores` comments is kept as it is: it is measured elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from codexapi_engine.protocol import anthropic
from codexapi_engine.protocol.anthropic.schema import ASKS_NOTHING, MessagesRequest
from codexapi_engine.protocol.models import EFFORTS
from codexapi_engine.protocol.rules import FieldRule
from codexapi_http.errors import ABSENT
from codexapi_http.routes import DIALECTS, ROUTES
from codexapi_http.routes.openapi import BODIES, SAYS, Body, document

PAGE = Path(__file__).with_name("compatibility.md")
BEGIN, END = "<!-- scores -->", "<!-- end of scores -->"
_SCORES = re.compile(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", re.DOTALL)
_NO_SCORES = "Not measured yet.\n"

HEAD = """\
# Compatibility

What the HTTP server makes of each endpoint and field of the OpenAI API and of Anthropic's. Made by
`python docs/compatibility.py` from the tables by which the code works; those of the OpenAI API, with
the shapes of all fields, are served as `GET /openapi.json`.
"""

MESSAGES_BODY = Body(
    "Messages", MessagesRequest, anthropic.RULES, ASKS_NOTHING, FieldRule.IGNORED, {}
)
MESSAGES = """\
`anthropic-version` may have any value, and none; the key comes as `x-api-key` or as a Bearer, and one
right one of two is enough. Errors have Anthropic's envelope on these paths, and on every path that has
no other route where `anthropic-version` is sent.

* **Models**: `GET /v1/models` has Anthropic's form where `anthropic-version` is sent, with each model
  under its own name and as `claude-NAME`. Any other `claude-…` is the default model, a `claude-haiku…`
  the smallest; `--model-alias` goes first. A reply has the name that was asked for, `openai-model`
  in its headers is the true one.
* **Messages**: a `system` message stays in its place. The last message cannot be the assistant's. A
  call without a result gets one, a result without a call becomes text.
* **Blocks**: text, image (base64, URL), document (PDF, text, URL, blocks), search_result, tool_use,
  tool_result with pictures and documents, thinking. Citations are not made, files by id are a 400.
* **Tools**: the client's own, `web_search_…`, `bash_…`, `text_editor_…` and `memory_…`. A tool with
  `defer_loading` is sent once a `tool_reference` names it, or `tool_choice`. Patterns that the backend
  refuses are taken out of schemas. The other hosted tools are a 400.
* **Thinking**: the backend's encrypted reasoning is in `signature`, with the account and the model that
  wrote it; a signature of another is left out. Without `thinking` it is kept here, by call.
* **`max_tokens`** is needed, caps nothing, and is not refused by `--strict`.
* **An input that is too long** is a 400 that says `prompt is too long: N tokens > M maximum`, on which
  Claude Code compacts the chat. A used-up plan has its whole `retry-after`, and an overload is a 529.
* **`safeguards`**: no verdict is given.
* **`POST /v1/messages/count_tokens`** is an estimate from the size of texts, and adds up.
"""

MODELS = """\
## Models

`GET /v1/models` is the backend's own list, kept for minutes: each entry has `context_window`,
`reasoning_efforts`, `default_reasoning_effort` and `input_modalities` beside OpenAI's four fields.
A name that the list lacks is sent as it is; if the backend refuses it, the 404 names models that
the account has.

* **Effort in the name**: `gpt-6.1-sol:high` is the model `gpt-6.1-sol` at effort `high`, in every
  dialect. Only for a model of the list, and an effort that it lists or one of {efforts}; an effort
  that the request itself gives goes first.
* **Aliases**: `serve --model-alias gpt-4o=gpt-6-luna`, as often as needed, for clients whose model
  names are built in. Replies name the real model. Aliases stand after the plain ids in the list.
* **`ultra`**, which the list has for some models, is a mode of the Codex client: for those it is
  taken, and goes to the backend as the highest of the model's other efforts.
* **An effort that the model lacks** becomes the nearest that it has, the lower one of two, and
  `x-codexapi-ignored` names `reasoning_effort`; `--strict` refuses it. One that nobody knows is a
  400 that names those of the model. A request with an effort
  waits for the list, 5 s at most; where it cannot be had, the effort goes as it is, and for 60 s
  no request waits again.
* Requests of the Codex CLI pass untouched.
"""

HTTP = """\
## HTTP

* **Compressed requests**: `Content-Encoding` zstd, gzip and deflate, up to three in a row, forms too.
  The limits (32 MiB, 64 MiB on image endpoints) hold before and after decoding; zstd windows have
  8 MiB at most. Any other coding is a 415 that names these in `accept-encoding`.
* **Streams**: the status waits for the backend's status and the first thing to say, at most 10 s from
  the request on. Then it is a 200 without the backend's headers, a comment (an event for a Codex
  client) every 10 s, and what fails is told in one event.
* **What cannot be stored** (`store`, a conversation) is answered all the same: the header
  `x-codexapi-not-kept` of a whole answer, and the log, name the error. In the background, where the
  answer would be lost, it is a 503 before anything is asked.
* **`x-codexapi-ignored`** has 40 names at most, and then `and-N-more`.
* **`GET /v1/models`** has the ETag that answers name in `x-models-etag`, and answers 304 to an
  `If-None-Match` that has it.
"""

LIMITS = """\
## Limits

The plan has no requests or tokens per minute, but windows, told in percent. Answers tell them in
the headers that OpenAI's clients know, in **percent points of the plan's window**, not in requests
or tokens:

| header | is |
|---|---|
| `x-ratelimit-limit-requests`, `x-ratelimit-limit-tokens` | 100 |
| `x-ratelimit-remaining-requests` | percent points left of the primary window (mostly 5 hours) |
| `x-ratelimit-remaining-tokens` | percent points left of the secondary window (mostly a week) |
| `x-ratelimit-reset-requests`, `x-ratelimit-reset-tokens` | time until that window starts anew, as `27m17s` |

They stand on errors too. The backend's own `x-codex-*` headers pass beside them. A 429 says in its
message and in its body when the window resets; in `Retry-After` only where that is a minute away at
most, since some clients sleep for as long as that says. `GET /v1/usage` asks the backend: both
windows, credits, and limits of single models where it tells them.
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join(
        [
            HEAD,
            _words(),
            _endpoints(),
            *(_fields(name, body) for name, body in BODIES.items()),
            _table_of("/v1/messages", MESSAGES_BODY),
            MESSAGES,
            MODELS.format(efforts=", ".join(f"`{effort}`" for effort in EFFORTS)),
            HTTP,
            LIMITS,
            scores(PAGE.read_text("utf-8") if PAGE.exists() else ""),
        ]
    )


def _words() -> str:
    legend = [f"* **{rule.value}**: {SAYS[rule]}" for rule in FieldRule]
    harmless = (
        "A null asks for nothing, and so does the value that is noted beside a field: neither "
        "ignored nor refused."
    )
    return "\n".join(["## What becomes of a field", "", *legend, "", harmless, ""])


def _endpoints() -> str:
    rows = [
        (f"`{method.upper()} {path}`", _what(operation))
        for path, methods in document(ROUTES)["paths"].items()
        for method, operation in methods.items()
    ]
    rows += [
        (f"`{method} {_plain(route.path)}`", "in Anthropic's form")
        for entry in DIALECTS
        for route in entry.routes
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    absent = [
        (f"`/v1/{word}…`", f"404: the Codex backend has {why}") for word, why in ABSENT.items()
    ]
    lines = _table(("endpoint", "answers"), [*rows, *absent])
    return "\n".join(["## Endpoints", "", *lines, ""])


def _plain(path: str) -> str:
    return re.sub(r":\w+}", "}", path)


def _what(operation: dict[str, object]) -> str:
    """What an endpoint answers with, by its schema's name."""
    told = json.dumps(operation["responses"]["200"]["content"])  # type: ignore[index]
    found = re.search(r"schemas/(\w+)", told)
    name = f"`{found[1]}`" if found else "an image" if "image/*" in told else "an object"
    return f"{name}, or events" if "text/event-stream" in told else name


def _fields(endpoint: str, body: Body) -> str:
    paths = document(ROUTES)["paths"].items()
    return _table_of(next(path for path, ways in paths if _id_of(ways) == endpoint), body)


def _table_of(path: str, body: Body) -> str:
    counts = {rule: list(body.rules.values()).count(rule) for rule in FieldRule}
    rows = [
        (f"`{name}`", rule.value, _note(body, name, rule))
        for rule in FieldRule
        for name, ruled in body.rules.items()
        if ruled is rule
    ]
    told = ", ".join(f"{count} {rule.value}" for rule, count in counts.items())
    unknown = f"A field that is not here is {body.unknown.value}"
    passes = " (it passes on)." if body.unknown is FieldRule.TRANSLATED else "."
    lines = _table(("field", "becomes", "but"), rows)
    return "\n".join([f"## `POST {path}`", "", f"{told}. {unknown}{passes}", "", *lines, ""])


def _id_of(ways: dict[str, dict[str, object]]) -> object:
    return ways.get("post", {}).get("operationId")


def _note(body: Body, name: str, rule: FieldRule) -> str:
    if name not in body.no_effect or rule in (FieldRule.TRANSLATED, FieldRule.HONOURED):
        return ""
    return f"`{json.dumps(body.no_effect[name])}` asks for nothing"


def scores(before: str) -> str:
    found = _SCORES.search(before)
    kept = found[1] if found else _NO_SCORES
    return f"## Third-party suites\n\n{BEGIN}\n{kept}{END}\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    cells = list(head)
    yield "| " + " | ".join(cells) + " |"
    yield "|" + "---|" * len(cells)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def main() -> None:
    text = page()
    if not PAGE.exists() or text != PAGE.read_text("utf-8"):
        PAGE.write_text(text, "utf-8")
        print(f"{PAGE.name} written")


if __name__ == "__main__":
    main()
