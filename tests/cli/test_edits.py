"""Edits of other programs' files: nothing else in them changes, and all can be taken back."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from codexapi_cli.integrations.edits import (
    MISSING,
    Conflict,
    Entry,
    ListItem,
    Refused,
    SettingsFile,
    jsonc,
    toml,
    yaml,
)
from codexapi_cli.integrations.edits.document import Document
from codexapi_cli.integrations.edits.splice import Unsafe, same, with_entry, without_entry
from codexapi_cli.integrations.mcp_clients import CLIENTS, NAME

FORMS = {"jsonc": jsonc, "toml": toml, "yaml": yaml}

PATH = ("servers", "ours")
VALUE = {"command": "/opt/a b/ours", "args": ["mcp", "serve"], "env": {"A": "ü\\"}, "timeout": 9}
ENTRY = Entry(PATH, VALUE)

NAMES = st.sampled_from(["servers", "ours", "other", "", 'q"uote', "ünï", "a.b"])
NEWLINES = st.sampled_from(["\n", "\r\n"])
INLINE = st.sampled_from(["", "", " ", "  ", "\t", "/* , } */", " /**/ "])
ACROSS = st.sampled_from(["", " ", "\n", "\n  ", "\n\t", '// }, "\n', "\n// note\n  ", "/*\n*/"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
).map(json.dumps)  # fmt: skip


@st.composite
def values(draw: st.DrawFn, depth: int = 3, lines: bool = True) -> str:
    """A JSONC value as text, in any style."""
    kind = draw(st.sampled_from(["object", "object", "list", "scalar"])) if depth else "scalar"
    if kind == "scalar":
        return draw(SCALARS)
    trivia = ACROSS if lines else INLINE
    parts = []
    for name in draw(st.lists(NAMES, max_size=3, unique=True)):
        value = draw(values(depth - 1, lines))
        if kind == "object":
            colon = f"{draw(INLINE)}:{draw(trivia)}"
            escaped: bool = draw(st.booleans())
            value = json.dumps(name, ensure_ascii=escaped) + colon + value
        parts.append(draw(trivia) + value + draw(trivia))
    trailing = draw(st.sampled_from([",", ""])) * bool(parts) + draw(trivia)
    opening, closing = "{}" if kind == "object" else "[]"
    return opening + ",".join(parts) + trailing + closing


@st.composite
def jsonc_texts(draw: st.DrawFn) -> str:
    lines = draw(st.booleans())
    body = draw(values(lines=lines).filter(lambda text: text.startswith("{")))
    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    text = draw(ACROSS) + body + draw(ACROSS) if lines else body
    return mark + text.replace("\n", draw(NEWLINES))


TOML_LINES = st.sampled_from(
    [
        "", "# note", "  # [servers.ours]", "a = 1", "b = 'x' # why", 'c = """\n[servers.ours]\n"""',
        "d = [\n  1, # one\n  [2],\n]", "e = {x = 1}", "f = 1979-05-27T07:32:00Z", "'q.q' = nan",
    ]
)  # fmt: skip
TOML_HEADERS = st.sampled_from(
    [
        "[servers]", "[servers.other]", "[servers.ours]", "[ servers . 'ours' ] # ours",
        "[servers.ours.env]", "[[lists]]", "[z]", "  [servers.x.y]", "[oursy]",
    ]
)  # fmt: skip


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    lines: list[str] = []
    for header in ["", *draw(st.lists(TOML_HEADERS, max_size=5, unique=True))]:
        lines += [header] * bool(header)
        lines += draw(st.lists(TOML_LINES, max_size=4, unique=True))
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    return draw(st.sampled_from(["", "", "\ufeff"])) + text.replace("\n", draw(NEWLINES))


YAML_PARTS = st.sampled_from(
    [
        "servers:\n  other:\n    a: 1 # x\n", "servers: {}\n", "servers: {other: 1}  # c\n",
        "servers:\n    ours: # why\n        command: no\n    b: |\n      text\n\n",
        "servers:\n  z: 1\n\n  # about ours\n  ours: &o {a: 1}\n  y: *o\n", "servers: # ours\n",
        "list:\n- a\n-  b: 1\n   c: >-\n     folded\n\n", "x: &a {y: 1}\nz: {<<: *a, 'k': ''}\n",
        "# note\n", "\n", "'q': \"#\"\n", "e:\n", "time: 2001-01-01\n", "plain: text that\n  goes on\n",
    ]
)  # fmt: skip


@st.composite
def yaml_texts(draw: st.DrawFn) -> str:
    text = "".join(draw(st.lists(YAML_PARTS, max_size=5, unique=True)))
    text = draw(st.sampled_from(["", "---\n"])) + text
    text = text[: len(text) - draw(st.integers(0, 1))]  # the last newline may be missing
    try:
        yaml.parse(text)
    except Unsafe:
        assume(False)
    return draw(st.sampled_from(["", "", "\ufeff"])) + text.replace("\n", draw(NEWLINES))


DOCUMENTS = st.one_of(
    jsonc_texts().map(lambda text: Document(jsonc, text)),
    toml_texts().map(lambda text: Document(toml, text)),
    yaml_texts().map(lambda text: Document(yaml, text)),
)


def inside(document: Document) -> Any:
    return document.form.parse(document.text.removeprefix("\ufeff"))


def is_within(part: str, whole: str) -> bool:
    """Whether all characters of `part` stand in `whole`, in their order."""
    rest = iter(whole)
    return all(sign in rest for sign in part)


def put(document: Document) -> Document:
    """With our entry in it; discards documents whose shape has no place for it."""
    try:
        return document.put([ENTRY], force=True)
    except Unsafe:
        # JSON is refused for its shape alone: where something else stands in the way.
        assert document.form is not jsonc or not isinstance(inside(document).get(PATH[0]), dict)
        assume(False)
        raise


@given(DOCUMENTS)
def test_put_changes_one_entry_and_no_other(document: Document) -> None:
    assume(document.text.strip())
    made = put(document)
    assert same(inside(made), with_entry(inside(document), PATH, VALUE))
    if not has_entry(document) and document.value(PATH[:1]) is not None:  # a null makes room
        assert is_within(document.text, made.text)


def has_entry(document: Document) -> bool:
    return document.value(PATH) is not MISSING


@given(DOCUMENTS)
def test_put_and_take_out_give_the_same_bytes(document: Document) -> None:
    assert put(document).take_out([ENTRY], document) == document


@given(DOCUMENTS, st.data())
def test_every_client_gets_its_entry_and_loses_it_again(
    document: Document, data: st.DataObject
) -> None:
    """As files: bytes for bytes, and nothing is left beside them."""
    fits = [client for client in CLIENTS if FORMS[client.form] is document.form]
    client = data.draw(st.sampled_from(fits))
    text = document.text.replace("servers", client.key).replace("ours", NAME).encode()
    value = client.registration(["/opt/a b/codexapi", "mcp", "serve"], {"A": "b"})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "settings"
        path.write_bytes(text)
        try:
            change = SettingsFile(path, document.form).put([Entry((client.key, NAME), value)])
        except (Refused, Conflict):
            assume(False)
            raise
        change.write()
        SettingsFile(path, document.form).undo([Entry((client.key, NAME), value)]).write()
        assert path.read_bytes() == text
        assert [item.name for item in Path(folder).iterdir()] == ["settings"]


@given(DOCUMENTS)
def test_put_twice_changes_nothing(document: Document) -> None:
    made = put(document)
    assert made.put([ENTRY]) == made


@given(DOCUMENTS)
def test_an_entry_is_cut_out_of_a_document_of_which_nothing_is_known(document: Document) -> None:
    made = put(document)
    try:
        without = made.take_out([ENTRY], None)
    except Unsafe:
        assert document.form is yaml  # what stands on one line there
        assume(False)
        raise
    assert without.value(PATH) is MISSING
    assert same(without_entry(inside(without), PATH), without_entry(inside(made), PATH))
    # In YAML, a mapping whose lines are gone has to be written as an empty one.
    emptied = "{}" if document.form is yaml else ""
    assert is_within(without.text.replace(emptied, ""), made.text)


ITEM = Entry(("lists", ListItem("name", "ours")), {"name": "ours", "args": [1], "env": {"A": "b"}})
ITEM_LINES = ["a = 1", "", "# note", "name = 'ours'", 'name = "other"', "b = '''\n[[lists]]\n'''"]


@st.composite
def toml_lists(draw: st.DrawFn) -> Document:
    """Documents with items of the list that ours goes into."""
    lines: list[str] = []
    headers = ["[[lists]]", "[[lists]] # more", "[lists.x]", "[z]", "[[z.lists]]", "[[ 'lists' ]]"]
    for header in ["", *draw(st.lists(st.sampled_from(headers), max_size=5))]:
        lines += [header] * bool(header)
        lines += draw(st.lists(st.sampled_from(ITEM_LINES), max_size=3, unique=True))
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))
    try:
        items = tomllib.loads(text).get("lists", [])
    except tomllib.TOMLDecodeError:
        assume(False)
    names = [item.get("name") for item in items] if isinstance(items, list) else []
    assume(names.count("ours") < 2)
    return Document(toml, text.replace("\n", draw(NEWLINES)))


@given(toml_lists())
def test_an_item_of_a_toml_list_is_put_in_and_taken_out(document: Document) -> None:
    try:
        made = document.put([ITEM], force=True)
    except Unsafe:
        assert isinstance(inside(document).get("lists"), dict), document.text
        return
    assert same(inside(made), with_entry(inside(document), ITEM.path, ITEM.value))
    assert made.put([ITEM]) == made
    assert made.take_out([ITEM], document) == document
    without = made.take_out([ITEM], None)
    assert same(inside(without), without_entry(inside(made), ITEM.path))
    assert is_within(without.text, made.text)
    if document.value(ITEM.path) is MISSING:
        assert is_within(document.text, made.text)


def test_a_toml_list_on_one_line_is_refused() -> None:
    document = Document(toml, 'lists = [{name = "other"}]\n')
    with pytest.raises(Unsafe):
        document.put([ITEM])


@given(jsonc_texts(), st.data())
def test_any_member_is_cut_out_of_json(text: str, data: st.DataObject) -> None:
    """However it was written, and by whomever."""
    document = Document(jsonc, text)
    paths = list(members(inside(document)))
    assume(paths)
    path = data.draw(st.sampled_from(paths))
    without = document.take_out([Entry(path, document.value(path))], None)
    assert without.value(path) is MISSING
    assert same(without_entry(inside(without), path), without_entry(inside(document), path))
    assert is_within(without.text, text)


def members(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(document, dict):
        for name, value in document.items():
            yield (*path, name)
            yield from members(value, (*path, name))


@given(DOCUMENTS, st.data())
def test_what_the_user_changed_meanwhile_stays(document: Document, data: st.DataObject) -> None:
    """Some digit before our entry has become another."""
    made = put(document)
    until = next(
        (
            n
            for n, pair in enumerate(zip(document.text, made.text, strict=False))
            if len(set(pair)) > 1
        ),
        len(document.text),
    )
    digits = [n for n, sign in enumerate(document.text[:until]) if sign == "1"]
    assume(digits and not has_entry(document))
    place = data.draw(st.sampled_from(digits))

    def edited(one: Document) -> Document:
        return Document(one.form, one.text[:place] + "2" + one.text[place + 1 :])

    assert edited(made).take_out([ENTRY], document) == edited(document)


# Large files: each text is read a fixed number of times, whatever is in it


def parsed_characters(monkeypatch: pytest.MonkeyPatch, form: Any) -> list[int]:
    """How many characters each parse reads."""
    seen: list[int] = []
    parse = form.parse

    def count(text: str) -> Any:
        seen.append(len(text))
        return parse(text)

    monkeypatch.setattr(form, "parse", count)
    return seen


def test_a_toml_file_of_many_tables_is_not_read_once_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = '[table.t{0}]\nkey = "[not.a.table]"\nlist = [\n  [1, 2],\n]\n'
    text = "".join(table.format(number) for number in range(2_000))
    seen = parsed_characters(monkeypatch, toml)
    entry = Entry(("mcp_servers", "codexapi"), {"command": "x"})
    made = Document(toml, text).put([entry])
    assert made.take_out([entry], Document(toml, text)).text == text
    assert sum(seen) < 20 * len(text)


def test_a_json_file_of_many_lines_is_not_read_once_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = '  "k{0}": [1, 2, "// no comment"], // a note\n'
    text = "{\n" + "".join(line.format(number) for number in range(2_000)) + "}\n"
    seen = parsed_characters(monkeypatch, jsonc)
    entry = Entry(("mcpServers", "codexapi"), {"command": "x"})
    made = Document(jsonc, text).put([entry])
    assert made.take_out([entry], Document(jsonc, text)).text == text
    assert sum(seen) < 20 * len(text)


@pytest.mark.parametrize("gap", [" " * 200, "\n" * 200, "// x\n" * 200, "/* x */ " * 200])
def test_what_stands_behind_a_comma_is_read_once(gap: str) -> None:
    """A pattern that tries all ways to take white space would not come to its end."""
    assert jsonc.parse('{"a": [1,' + gap + "2," + gap + "]}") == {"a": [1, 2]}
