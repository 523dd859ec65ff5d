"""What the wires may contain, and that each tells where it comes from.

The last part looks at the whole tree: no person's token, address or account may get into it, and
no text of the official client's instructions.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.wire_files import NAMES, READERS, WIRES, events, table, wire

from codexapi_engine.protocol import images

TREE = Path(__file__).parents[1]
_UNTRACKED = {"__pycache__", "build", "dist", "node_modules"}  # and dot folders, but for `.ci`
_MEDIA = {".png", ".gif", ".jpg", ".webp", ".woff2"}

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
_EXAMPLE_HOST = re.compile(
    r"@(?:(?:[\w.-]+\.)?(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)|x+(?:\.x+)*)$",
    re.IGNORECASE,
)  # and the filler of recordings
_JWT = re.compile(r"eyJ[\w-]{8,}\.(eyJ[\w-]+)\.[\w-]*")
_SIGNS = {
    "an API key": re.compile(r"\bsk-(?!(?:test|fake|demo|dummy|local|example|\.\.\.|…))[A-Za-z0-9_-]{20,}"),
    "a refresh token": re.compile(r"\brt[_.](?!(?:fake|test|demo|sim))[A-Za-z0-9_-]{32,}"),
    "a user id": re.compile(r"\buser-(?!(?:fake|test|demo|sim))[A-Za-z0-9]{20,}"),
    "encrypted content": re.compile(r"\bgAAAAA(?!B?fake|Bsimulated)[A-Za-z0-9_-]{40,}"),
    "the official instructions": re.compile(
        r"You are (?:Codex|GPT-\d[\w.]*),? (?:based on|running|a coding agent|an? \w+ agent)"
        r"|coding agent running in the Codex\x20CLI", re.IGNORECASE,
    ),
}  # fmt: skip


def tracked_files() -> Iterator[Path]:
    """Every file that could be committed."""
    folders = [TREE]
    for folder in folders:
        for path in sorted(folder.iterdir()):
            hidden = path.name.startswith(".") and path.name != ".ci"
            if (
                path.is_dir()
                and not hidden
                and path.name not in _UNTRACKED
                and path.suffix != ".egg-info"
            ):
                folders.append(path)
            elif path.is_file() and path.suffix not in {*_MEDIA, ".pyc"}:
                yield path


def findings(text: str) -> list[str]:
    """What in a text looks like a person's."""
    found = [f"{what}: {m[0][:40]}" for what, sign in _SIGNS.items() for m in sign.finditer(text)]
    found += [
        f"an address: {m[0]}" for m in _EMAIL.finditer(text) if not _EXAMPLE_HOST.search(m[0])
    ]
    return found + [f"in a JWT: {told}" for m in _JWT.finditer(text) for told in _in_jwt(m[1])]


def _in_jwt(part: str) -> list[str]:
    try:
        claims = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode()
    except ValueError:
        return []
    return findings(claims)


_REFERENCE = re.compile(r"`tests/wires/([\w.]+)`")


def test_each_wire_that_a_comment_names_is_there() -> None:
    names = {
        (path.name, name)
        for package in ("engine", "http_server", "mcp_server", "cli")
        for path in sorted((TREE / package).rglob("*.py"))
        for name in _REFERENCE.findall(path.read_text())
    }
    assert len(names) > 30
    assert [pair for pair in sorted(names) if not (WIRES / pair[1]).is_file()] == []


def test_no_file_of_the_tree_tells_a_secret_or_a_person() -> None:
    found = {}
    for path in tracked_files():
        if told := findings(path.read_text(encoding="utf-8", errors="replace")):
            found[str(path.relative_to(TREE))] = told
    assert found == {}


def _jwt(**claims: object) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts), "sig"])


@pytest.mark.parametrize(
    "text",
    [
        "sk-" + "proj-Ab12Cd34Ef56Gh78Ij90",
        "rt_" + "A1b2C3d4" * 5,
        "user-" + "Ab12Cd34Ef56Gh78Ij90xy",
        "gAAAAA" + "BoAb12Cd34" * 5,
        "ann.other" + "@" + "mail.org",
        "You are " + "Codex, based on GPT-5",
        _jwt(email="ann.other" + "@" + "mail.org"),
    ],
)
def test_the_scan_sees_what_it_looks_for(text: str) -> None:
    assert findings(f'"{text}"')


@pytest.mark.parametrize(
    "text",
    [
        "sk-test-1234",
        "fake@example.com",
        _jwt(email="fake@example.org"),
        "user-fake",
        "gAAAAABfake-x",
    ],
)
def test_the_scan_lets_invented_ones_pass(text: str) -> None:
    assert not findings(f'"{text}"')


def test_every_wire_tells_where_it_comes_from() -> None:
    assert_provenance(WIRES)


def assert_provenance(wires: Path) -> None:
    """Each file has a row, and a recorded one another, which says by what and when."""
    page = (wires / "README.md").read_text(encoding="utf-8")
    streams, _, recorded = page.partition("\n## Recorded\n")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (\w+) \|", streams, re.MULTILINE))
    files = {path.name.removesuffix(".sse") for path in wires.iterdir()} - {"README.md"}
    assert set(rows) == files
    assert set(rows.values()) <= {"captured", "made", "written", "generated", "recorded"}
    facts = r"^\| `([\w.]+)\.sse` \| [\d.]+ \| \d{4}-\d\d-\d\d \| ([0-9a-f]{64}) \| .+ \|$"
    described = dict(re.findall(facts, recorded, re.MULTILINE))
    assert set(described) == {name for name, origin in rows.items() if origin == "recorded"}
    for name, digest in described.items():
        assert hashlib.sha256((wires / f"{name}.sse").read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", NAMES)
def test_a_wire_is_what_a_backend_would_send(name: str) -> None:
    assert_stream(wire(name))


def assert_stream(data: bytes) -> None:
    assert data.endswith(b"\n\n")
    assert b"\r" not in data
    stream = events(data)
    assert stream[0].type == "response.created"
    assert all(event.json["type"] == event.type for event in stream)
    numbers = [e.json["sequence_number"] for e in stream if "sequence_number" in e.json]
    assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("entry", table("answers"), ids=lambda entry: str(entry["name"]))
def test_an_answer_is_what_its_endpoint_would_send(entry: dict[str, Any]) -> None:
    assert_answer(entry)


def assert_answer(entry: dict[str, Any]) -> None:
    """Fails unless the endpoint's own reader takes it, and each picture has a format and a size."""
    found = READERS[entry["path"]](copy.deepcopy(entry["body"]))
    if isinstance(found, images.Images):
        assert all(images.header(image.data) for image in found.images)
