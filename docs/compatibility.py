"""Writes `docs/compatibility.md`: what becomes of each endpoint and field, from the code's tables.

`python docs/compatibility.py` writes it anew; the gate compares. What stands between the two
`scores` comments is kept as it is: it is measured elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from codexapi_engine.bounds import (
    MAX_BODY_BYTES,
    MAX_FILE_BYTES,
    MAX_FORM_BYTES,
    MAX_LANES,
    MAX_SOCKET_RUNS,
    MAX_STORED_FILE_BYTES,
    MAX_STORED_FILES,
    MIB,
    SOCKET_LIFETIME,
)
from codexapi_engine.protocol import ollama
from codexapi_engine.protocol.models import EFFORTS
from codexapi_engine.protocol.ollama import schema as ollama_schema
from codexapi_engine.protocol.rules import FieldRule
from codexapi_http.errors import ABSENT
from codexapi_http.routes import DIALECTS, ROUTES
from codexapi_http.routes.messages import ABSENT as NO_MESSAGES
from codexapi_http.routes.openapi import document
from codexapi_http.routes.openapi_tables import BODIES, SAYS, Body

PAGE = Path(__file__).with_name("compatibility.md")
BEGIN, END = "<!-- scores -->", "<!-- end of scores -->"
_SCORES = re.compile(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", re.DOTALL)
_NO_SCORES = "Not measured yet.\n"

HEAD = """\
# Compatibility

What the HTTP server makes of each endpoint and field of the OpenAI API, of Anthropic's and of Ollama's.
Made by `python docs/compatibility.py` from the tables by which the code works, which are served too,
with the shapes of all fields, as `GET /openapi.json`.
"""

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
  tool_result with pictures and documents, thinking, and files of
  `/v1/files` by id.
* **Citations** of documents are not made: `citations: {enabled: true}` is ignored, by its path. After
  a web search a text block has the pages that it cites, as `web_search_result_location` without
  `cited_text`.
* **Tools**: the client's own, `web_search_…`, `bash_…`, `text_editor_…` and `memory_…`. A tool with
  `defer_loading` is sent once a `tool_reference` names it, or `tool_choice`, and at once beside a
  `tool_search_tool_…`. Patterns that the backend refuses are taken out of schemas. A name that it
  refuses becomes another one on the way, and comes back. The other hosted tools are a 400.
* **Thinking**: the backend's encrypted reasoning is in `signature`, with the account and the model that
  wrote it; a signature of another is left out. Without `thinking` it is kept here, by call.
* **`max_tokens`** must be there, as Anthropic's API wants, and limits nothing: the backend takes no such
  limit. `--strict` does not refuse it, since no request can do without it.
* **An input that is too long** is a 400 that says `prompt is too long: N tokens > M maximum`, on which
  Claude Code compacts the chat. A used-up plan has its whole `retry-after`, and an overload is a 529.
* **`safeguards`**: no verdict is given. **`thread`** is refused in the form on which the official
  clients send the conversation. **`service_tier`**: `"standard_only"` asks for nothing either.
"""

COUNTING = """\
An estimate from the size of texts, which adds up. `model` and every other field may be there, and do
not change it.
"""
OPTIONS_BODY = Body(
    "SamplingOptions",
    ollama_schema.SamplingOptions,
    ollama_schema.OPTION_RULES,
    ollama_schema.OPTIONS_ASK_NOTHING,
    FieldRule.IGNORED,
    {},
)
OLLAMA = f"""\
Errors are `{{"error": "words"}}` on these paths; in a stream, one such line is the last, and no line
is `done`. The key comes as a Bearer, where there is one.

* **`GET /` and `HEAD /`** say `Ollama is running`; a browser gets the page. `GET /api/version` says
  {ollama.VERSION}, which the programs that compare it want.
* **Models**: bare names; `:latest` and capitals are taken. `size` is 0 and `parameter_size` empty, since
  nobody knows them; `remote_model` and `remote_host` mark them as Ollama marks those of its cloud;
  `digest` is of the name, `modified_at` is when the list was fetched. `POST /api/pull` succeeds for
  a model of the list, and is a 404 for another.
* **Streams** are on unless `stream` is false. All tool calls of a reply stand in one line, their
  arguments as objects. A line with empty content fills a silence.
* **Results of calls** belong to the open calls by `tool_call_id`, else by `tool_name`, else in their
  order. A call without a result, and a result too many, are a 400; results before any call, as a
  history has them that was cut, become text.
* **`think`**: false is the least effort of the model; true its default; `low`, `medium`, `high` that
  effort; `max` its highest. Unless it is false, summaries of the reasoning are in `thinking`.
* **`format`** is never strict. **`images`** are base64 of any kind; their type is in their bytes.
* **`suffix`** has the gap between two texts filled; `system`, `images` and `format` have no effect there.
* **Nothing to say**: no messages, or no prompt, is answered `load`, and `unload` where `keep_alive` is
  0; the backend is not asked.
* **Counts** are the backend's, and are left out where a stop sequence ended the answer. Durations
  are measured here: `prompt_eval_duration` until the answer begins, `eval_duration` from then on.
"""
NOTES = {"messages_create": MESSAGES, "messages_count_tokens": COUNTING, "chat": OLLAMA}
"""By the name of the endpoint: what its table cannot say."""

MODELS = """\
## Models

`GET /v1/models` is the backend's own list, kept for minutes: each entry has `context_window`,
`reasoning_efforts`, `default_reasoning_effort` and `input_modalities` beside OpenAI's four fields.
A name that the list lacks is sent as it is; if the backend refuses it, the 404 names models that
the account has.

* **Effort in the name**: `gpt-6.2-sol:high` is the model `gpt-6.2-sol` at effort `high`, in every
  dialect. Only for a model of the list, and an effort that it lists or one of {efforts}; an effort
  that the request itself gives goes first.
* **Aliases**: `serve --model-alias gpt-4o=gpt-6.2-sol`, as often as needed, for clients whose model
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
  The limits ({body} MiB, {form} MiB for forms and image endpoints) hold before and after decoding; zstd windows have
  8 MiB at most. Any other coding is a 415 that names these in `accept-encoding`.
* **Streams**: the status waits for the backend's status and the first thing to say, at most 10 s from
  the request on. Then it is a 200 without the backend's headers, a comment (an event for a Codex
  client, a `ping` in Messages) every 10 s, and what fails is told in one event.
* **What cannot be stored** (`store`, a conversation) is answered all the same: the header
  `x-codexapi-not-kept` of a whole answer, and the log, name the error. In the background, where the
  answer would be lost, it is a 503 before anything is asked.
* **`x-codexapi-ignored`** has 40 names at most, and then `and-N-more`.
* **Files**: `/v1/files` keeps them on this machine, each for the account that stored it; a `file_id` of
  `input_file`, `input_image`, Chat's `file`, Messages' `source`, `images` of an edit and
  `input_image_mask` goes up as the data of its file. At most {file} MiB a file and a request, and
  {files} MiB in {most:,} files.
* **Transcription**: the answer is the same for every `model`. `chunking_strategy` cuts a long WAV file
  in its pauses; of any other long audio file the backend leaves out the end, and `x-codexapi-warning`
  says so. A stream has one delta for each piece. Nobody has tried this with the real backend yet.
* **`input_audio`** goes to a model that lists `audio` among its inputs. For another one it is a 400, or
  text under `serve --transcribe-audio`: then `x-codexapi-transcribed` counts the files.
* **`GET /v1/models`** has the ETag that answers name in `x-models-etag`, and answers 304 to an
  `If-None-Match` that has it.
"""

WEBSOCKET = """\
## WebSocket

`GET /v1/responses` with an upgrade, as the SDKs' `responses.connect()`, the Agents SDK and the Codex
CLI use it. Each `response.create` is a `POST /v1/responses` to the backend, with the same fields and
checks; its events come as one text message each, without `[DONE]`.

| of the official protocol | here |
|---|---|
| `previous_response_id` | a stored response on any connection and over HTTP; with `store: false` the newest of each lane, on its connection alone |
| `stream_id` | lanes: in order on one, side by side otherwise; {runs} responses at a time (more wait), {lanes} names |
| `generate: false` | answered here, without the backend; its id stands for its input |
| `background: true` | 400 |
| `response.steer` | `response.steer.failed` with `steering_not_supported` and the input: the backend steers no run over HTTP |
| `response.interrupt`, `response.cancel` | 400: closing the connection ends its runs at the backend |
| errors | an `error` event with the `status`, code, words and headers of HTTP; the connection stays |
| a continuation that fails | its lane forgets what it went on with, as the official API does: `previous_response_not_found` from then on |
| an output of a tool without its call | 400, before anything is asked |
| the end | after {minutes} minutes `websocket_connection_limit_reached`, and 1000; 1001 when the server stops, after its runs; 1009 for a message over {size} MiB; 1011 for a bug |

* **Who may call** is decided before the upgrade, by HTTP: 401, 403, 421, and 426 on any other path.
* **Keep-alives** are pings, and events for a Codex client besides. That also gets `codex.rate_limits`
  and `response.metadata`, which have what it reads from the headers of HTTP.
* **Headers of an answer**, such as `x-codexapi-ignored`, have no place here: the log names what was
  ignored, and `--strict` refuses it.
* **Compression** of messages is declined.
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
message and in its body when the window resets. It has a `Retry-After` only if that is at most a minute
away, since some clients sleep in silence for as long as that header says. `GET /v1/usage` asks the backend: both
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
            _table_of("/api/…` `options", OPTIONS_BODY),
            MODELS.format(efforts=", ".join(f"`{effort}`" for effort in EFFORTS)),
            HTTP.format(
                body=MAX_BODY_BYTES // MIB,
                form=MAX_FORM_BYTES // MIB,
                file=MAX_FILE_BYTES // MIB,
                files=MAX_STORED_FILE_BYTES // MIB,
                most=MAX_STORED_FILES,
            ),
            WEBSOCKET.format(
                runs=MAX_SOCKET_RUNS,
                lanes=MAX_LANES,
                minutes=int(SOCKET_LIFETIME) // 60,
                size=MAX_BODY_BYTES // MIB,
            ),
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
        for path, methods in document(ROUTES, DIALECTS)["paths"].items()
        for method, operation in methods.items()
    ]
    rows.append(("`GET /v1/responses` with an upgrade", "[a WebSocket](#websocket)"))
    rows.append(("`GET /`", "`Ollama is running`; a browser gets [the page](page.md)"))
    absent = [
        (f"`/v1/{word}…`", f"404: the Codex backend has {why}") for word, why in ABSENT.items()
    ]
    absent += [
        (f"`{path}`", f"404: the Codex backend has no {what}") for path, what in NO_MESSAGES.items()
    ]
    lines = _table(("endpoint", "answers"), [*rows, *absent])
    return "\n".join(["## Endpoints", "", *lines, ""])


def _what(operation: dict[str, object]) -> str:
    """What an endpoint answers with, by its schema's name."""
    told = json.dumps(operation["responses"]["200"]["content"])  # type: ignore[index]
    names = [f"`{name}`" for name in re.findall(r"schemas/(\w+)", told)]
    kinds = {"image/*": "an image", "application/octet-stream": "the file itself"}
    other = next((name for kind, name in kinds.items() if kind in told), "an object")
    name = " or ".join(names) or ("nothing" if told == "{}" else other)
    streams = {"text/event-stream": "events", "application/x-ndjson": "lines of JSON"}
    return ", or ".join([name, *(words for kind, words in streams.items() if kind in told)])


def _fields(endpoint: str, body: Body) -> str:
    paths = document(ROUTES, DIALECTS)["paths"].items()
    table = _table_of(next(path for path, ways in paths if _id_of(ways) == endpoint), body)
    return "\n".join([table, NOTES[endpoint]]) if endpoint in NOTES else table


def _table_of(path: str, body: Body) -> str:
    counts = {rule: list(body.rules.values()).count(rule) for rule in FieldRule}
    rows = [
        (f"`{name}`", rule.value, _note(body, name, rule))
        for rule in FieldRule
        for name, ruled in body.rules.items()
        if ruled is rule
    ]
    told = ", ".join(f"{count} {rule.value}" for rule, count in counts.items() if count)
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
