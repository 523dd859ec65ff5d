"""Makes a wire of a recording: `python -m tests.import_recording FILE [--name NAME]`.

FILE is one exchange that `codexapi … --record DIR` has written. A stream becomes a wire, a refusal an
entry of `errors.json`, and another answer (a picture, a transcript) one of `answers.json`;
`README.md` beside them says where it comes from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path

from tests.test_wires import findings
from tests.wire_files import READERS, WIRES

from codexapi_engine import InvalidRequest
from codexapi_engine.recording.lines import ExchangeFile, read_exchange

_REDACTED = "prompts, answers and names filled; ids and tokens replaced"
_STREAMS = "/responses"
_PATHS = (_STREAMS, *READERS)
_TABLES, _RECORDED = "## Tables", "## Recorded"
_HEADING = f"""
{_RECORDED}

| what | codexapi | recorded | sha256 of the wire | redaction |
|---|---|---|---|---|
"""


class Unsuitable(Exception):
    """Why a recording becomes no wire."""


def stream_of(exchange: ExchangeFile) -> bytes:
    """The complete events of a stream, with LF. Raises Unsuitable."""
    data = exchange.answer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    complete, end, _ = data.rpartition(b"\n\n")
    if not end or not data.lstrip().startswith((b"event:", b"data:", b":")):
        raise Unsuitable("the answer is no stream of events")
    return complete + end


def error_of(exchange: ExchangeFile, name: str) -> dict[str, object]:
    """The entry of a refusal. Raises Unsuitable."""
    kept = ("content-type", "retry-after")
    headers = {key.lower(): value for key, value in exchange.answer_headers if key.lower() in kept}
    try:
        body = json.loads(exchange.answer)
    except ValueError:
        body = exchange.answer.decode("utf-8", "replace")
    return {"name": name, "status": exchange.status, "headers": headers, "body": body}


def answer_of(exchange: ExchangeFile, name: str) -> dict[str, object]:
    """The entry of an answer that is no stream. Raises Unsuitable."""
    try:
        body = json.loads(exchange.answer)
    except ValueError:
        raise Unsuitable("the answer is no complete JSON") from None
    return {"name": name, "path": exchange.kind[1], "body": body}


def suitable(exchange: ExchangeFile) -> None:
    """Raises Unsuitable for what must not, or cannot, become a wire."""
    method, path = exchange.kind
    if method != "POST" or path not in _PATHS:
        raise Unsuitable(f"{method} {path}: only a POST of {', '.join(_PATHS)} becomes a wire")
    if exchange.status is None:
        raise Unsuitable("the connection broke before an answer")
    if exchange.content:
        raise Unsuitable("it was recorded with --record-content: a wire holds nobody's words")
    if exchange.left_out:
        raise Unsuitable(f"{exchange.left_out} bytes of the answer were left out")
    if found := findings(exchange.answer.decode("utf-8", "replace")):
        raise Unsuitable(f"it may hold somebody's: {'; '.join(found)}")


def default_name(exchange: ExchangeFile) -> str:
    return "recorded_" + re.sub(r"[^0-9]", "", exchange.began)[:14]


def add_entry(exchange: ExchangeFile, name: str, wires: Path) -> str:
    """Adds a refusal, or an answer, to its table; returns its place. Raises Unsuitable and OSError."""
    is_answer = exchange.status == 200
    entry = (answer_of if is_answer else error_of)(exchange, name)
    table = wires / ("answers.json" if is_answer else "errors.json")
    entries = json.loads(table.read_bytes())
    if any(each["name"] == name for each in entries):
        raise Unsuitable(f"{table} has an entry {name}: choose another --name")
    table.write_text(json.dumps([*entries, entry], indent=1, ensure_ascii=False) + "\n")
    return f"{table.name}, {name}"


def import_recording(path: Path, name: str | None = None, wires: Path = WIRES) -> str:
    """Adds the wire to `wires`, and returns the name of its file. Raises Unsuitable, OSError and
    InvalidRequest."""
    exchange = read_exchange(path)
    suitable(exchange)
    name = name or default_name(exchange)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise Unsuitable(f"{name}: a wire's name has small letters, digits and _ alone")
    page = wires / "README.md"
    text = page.read_text(encoding="utf-8")
    if exchange.status == 200 and exchange.kind[1] == _STREAMS:
        target = wires / f"{name}.sse"
        if target.exists():
            raise Unsuitable(f"{target} exists: choose another --name")
        data = stream_of(exchange)
        target.write_bytes(data)
        shows = f"| `{name}` | recorded | a stream of {len(exchange.pieces)} pieces |\n"
        text = text.replace(f"\n{_TABLES}", f"{shows}\n{_TABLES}".lstrip("\n"), 1)
        what = target.name
    else:
        data = exchange.answer
        what = add_entry(exchange, name, wires)
    if _RECORDED not in text:
        text = text.rstrip("\n") + "\n" + _HEADING
    digest = hashlib.sha256(data).hexdigest()
    facts = (f"`{what}`", exchange.codexapi, exchange.began[:10], digest, _REDACTED)
    page.write_text(text + f"| {' | '.join(facts)} |\n", encoding="utf-8")
    return what


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.import_recording", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--name", help="of the wire (default: of its time)")
    parser.add_argument("--wires", type=Path, default=WIRES, help="where it goes")
    options = parser.parse_args()
    try:
        what = import_recording(options.file, options.name, options.wires)
    except (Unsuitable, InvalidRequest) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"{what}: say in {options.wires / 'README.md'} what it shows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
