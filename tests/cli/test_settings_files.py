"""Settings files on the disk: changed at once or not at all, and put back as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.processes import environment

from codexapi_cli.integrations.edits import (
    MISSING,
    Conflict,
    DocumentFormat,
    Entry,
    ListItem,
    Refused,
    SettingsFile,
    jsonc,
    snippet,
    toml,
    yaml,
)

OURS = [Entry(("servers", "ours"), {"command": "/opt/ours", "args": ["serve"]})]
BEFORE = b'{\n  // mine\n  "servers": {}\n}\n'
FORMS = {".json": jsonc, ".toml": toml, ".yaml": yaml}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "settings.json"
    made.write_bytes(BEFORE)
    return made


def put(path: Path, form: DocumentFormat = jsonc, *, force: bool = False) -> Path | None:
    return SettingsFile(path, form).put(OURS, force=force).write()


def undo(path: Path, form: DocumentFormat = jsonc) -> Path | None:
    return SettingsFile(path, form).undo(OURS).write()


def files(path: Path) -> list[str]:
    return sorted(item.name for item in path.parent.iterdir())


def test_a_change_leaves_a_backup_of_the_same_mode_beside_the_file(path: Path) -> None:
    path.chmod(0o640)
    backup = put(path)
    assert backup is not None
    assert backup.name.startswith("settings.json.codexapi-")
    assert backup.read_bytes() == BEFORE
    assert [oct(item.stat().st_mode & 0o777) for item in (path, backup)] == ["0o640", "0o640"]
    assert files(path) == ["settings.json", backup.name]


def test_the_second_time_nothing_changes(path: Path) -> None:
    put(path)
    before = path.stat()
    names = files(path)
    change = SettingsFile(path, jsonc).put(OURS)
    assert not change
    assert change.diff() == ""
    assert change.write() is None
    assert path.stat() == before
    assert files(path) == names


def test_undo_restores_the_bytes_and_leaves_no_trace(path: Path) -> None:
    put(path)
    undo(path)
    assert path.read_bytes() == BEFORE
    assert files(path) == ["settings.json"]


def test_a_file_that_was_not_there_is_gone_again(path: Path) -> None:
    path.unlink()
    assert put(path) is None
    assert path.stat().st_mode & 0o077 == 0o066 & ~current_umask()
    undo(path)
    assert files(path) == []


def current_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def test_an_empty_file_is_empty_again(path: Path) -> None:
    path.write_bytes(b"")
    put(path)
    undo(path)
    assert path.read_bytes() == b""


def test_undo_leaves_a_file_that_we_made_where_the_user_has_added_to_it(path: Path) -> None:
    path.unlink()
    put(path)
    path.write_bytes(path.read_bytes().replace(b"{\n", b'{\n  "mine": 1,\n', 1))
    undo(path)
    assert path.read_bytes() == b'{\n  "mine": 1\n}\n'


def test_undo_leaves_nothing_of_ours_in_a_file_that_we_made_and_changed(path: Path) -> None:
    path.unlink()
    put(path)
    path.write_bytes(path.read_bytes().replace(b"{\n", b'{\n  "mine": 1,\n', 1))
    other = [Entry(OURS[0].path, {"command": "/opt/other"})]
    SettingsFile(path, jsonc).put(other, force=True).write()
    SettingsFile(path, jsonc).undo(other).write()
    undo(path)
    assert path.read_bytes() == b'{\n  "mine": 1\n}\n'


def test_undo_takes_out_a_parent_that_came_with_the_entry(path: Path) -> None:
    path.write_bytes(b'{"a": 1}')
    put(path)
    path.write_bytes(path.read_bytes().replace(b"]", b" ]"))  # our own text is not as it was
    undo(path)
    assert path.read_bytes() == b'{"a": 1}'


def test_undo_where_nothing_is_there_changes_nothing(path: Path) -> None:
    assert not SettingsFile(path, jsonc).undo(OURS)


def test_what_the_user_adds_to_our_entry_is_the_users(path: Path) -> None:
    put(path)
    path.write_bytes(path.read_bytes().replace(b'"args"', b'"trust": true, "args"'))
    assert not SettingsFile(path, jsonc).put(OURS)
    undo(path)
    assert path.read_bytes() == BEFORE


def test_a_copy_of_our_entry_in_a_comment_stays(path: Path) -> None:
    path.write_bytes(b'{"servers": {}, "a": 1}')
    put(path)
    entry = b'"ours": {"command": "/opt/ours", "args": ["serve"]}'
    assert entry in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"1}", b"1 /* " + entry + b" */}"))
    undo(path)
    assert path.read_bytes() == b'{"servers": {}, "a": 1 /* ' + entry + b" */}"


def test_what_was_there_before_us_stays(path: Path) -> None:
    """Even where the user has changed the file since, and our entry."""
    path.write_bytes(b'{"model":  "m", "x": "m"}')
    both = [Entry(("model",), "m"), *OURS]
    SettingsFile(path, jsonc).put(both).write()
    path.write_bytes(path.read_bytes().replace(b"}}", b"}},").replace(b"]", b" ]"))
    path.write_bytes(path.read_bytes()[:-1] + b'"b": 1}')
    SettingsFile(path, jsonc).undo(both).write()
    assert jsonc.parse(path.read_text()) == {"model": "m", "x": "m", "b": 1}


def test_an_entry_that_differs_is_a_conflict_and_is_replaced_by_force(path: Path) -> None:
    theirs = b'{"servers": {"ours": {"command": "theirs", "x": 1}}}'
    path.write_bytes(theirs)
    with pytest.raises(Conflict, match=r"servers\.ours") as caught:
        put(path)
    assert caught.value.exit_code == 8
    assert files(path) == ["settings.json"]
    put(path, force=True)
    assert SettingsFile(path, jsonc).has(OURS)
    undo(path)
    assert path.read_bytes() == theirs


def test_undo_of_what_the_user_has_changed_is_a_conflict(path: Path) -> None:
    put(path)
    path.write_bytes(path.read_bytes().replace(b"/opt/ours", b"/opt/mine"))
    with pytest.raises(Conflict, match="changed since"):
        undo(path)


def test_backups_are_never_overwritten(path: Path) -> None:
    first = put(path)
    path.write_bytes(path.read_bytes().replace(b"/opt/ours", b"/opt/mine"))
    second = put(path, force=True)
    assert first is not None
    assert second is not None
    assert first != second
    assert first.read_bytes() == BEFORE

    undo(path)
    assert b"/opt/mine" in path.read_bytes()


def test_undo_goes_back_behind_what_was_ours_too(path: Path) -> None:
    put(path)
    path.write_bytes(path.read_bytes().replace(b"/opt/ours", b"/opt/old/ours"))
    put(path, force=True)
    file = SettingsFile(path, jsonc)
    file.undo(OURS, was_ours=lambda value: value != MISSING and "ours" in value["command"]).write()
    assert path.read_bytes() == BEFORE


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_changes_of_one_file_are_undone_in_any_order(
    path: Path, order: tuple[int, int]
) -> None:
    both = [OURS, [Entry(("model",), "m"), Entry(("list", ListItem("name", "x")), {"name": "x"})]]
    for entries in both:
        SettingsFile(path, jsonc).put(entries).write()
    for number in order:
        SettingsFile(path, jsonc).undo(both[number]).write()
    assert path.read_bytes() == BEFORE


def test_a_link_is_followed_and_stays_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    link = tmp_path / "home" / "link.json"
    link.symlink_to(Path("..") / path.name)
    put(link)
    assert link.is_symlink()
    assert SettingsFile(path, jsonc).has(OURS)
    assert files(link) == ["link.json"]
    undo(link)
    assert path.read_bytes() == BEFORE


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", b'\xef\xbb\xbf{\r\n\t"servers": {\r\n\t\t"x": {} // last\r\n\t},\r\n}\r\n'),
        ("a.toml", b'\xef\xbb\xbfa = 1\r\n\r\n[servers.x]\r\nb = "c"\r\n# end'),
        ("a.yaml", b"\xef\xbb\xbfservers:\r\n    x: {}\r\n\r\n# end\r\nb: c"),
    ],
)
def test_marks_and_newlines_are_kept(tmp_path: Path, name: str, text: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    form = FORMS[path.suffix]
    put(path, form)
    made = path.read_bytes()
    assert made.startswith(b"\xef\xbb\xbf")
    assert made.count(b"\n") == made.count(b"\r\n")
    undo(path, form)
    assert path.read_bytes() == text


REFUSED = {
    "cut.json": (b'{"servers": {', "line 1"),
    "two.json": (b'{"a": 1}\n{}', "line 2: something follows"),
    "twice.json": (b'{\n"servers": {}, "servers": {}}', 'line 2: "servers" is there twice'),
    "list.json": (b"[]", "an object is expected around servers"),
    "text.json": (b'{"servers": ""}', "an object is expected around ours"),
    "number.json": (b'{"a": 01}', "malformed"),
    "nan.json": (b'{"a": NaN}', "a value is missing"),
    "single.json": (b"{'a': 1}", "a string is missing"),
    "comma.json": (b'{"a": 1 "b": 2}', "a comma is missing"),
    "deep.json": (b'{"a":' + b"[" * 100_000, "nested too deeply"),
    "wide.json": (b"\xff\xfe{\0}\0", "not UTF-8"),
    "comment.json": (b"/* {}", "a value is missing"),
    "inline.toml": (b"servers = {}", "servers"),
    "array.toml": (b"[[servers]]", "an object is expected"),
    "twice.toml": (b"a = 1\na = 2", "overwrite"),
    "twice.yaml": (b"a: 1\nservers: {}\na: 2", 'line 1: "a" is there twice'),
    "two.yaml": (b"a: 1\n---\nb: 2", "line 2"),
    "anchor.yaml": (b"servers: &s {x: 1}\nb: *s", "other settings would change"),
    "tag.yaml": (b"a: !mine 1", "line 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_edited_safely_is_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    data, why = REFUSED[name]
    path.write_bytes(data)
    with pytest.raises(Refused, match=why) as caught:
        put(path, FORMS[path.suffix])
    assert caught.value.exit_code == 7
    assert str(path) in str(caught.value)
    assert path.read_bytes() == data
    assert files(path) == [name]


EMPTY = {
    "null.json": b'{"servers": null, "a": 1}',
    "null-lines.json": b'{\r\n  // mine\r\n  "servers": null, // none\r\n  "a": 1,\r\n}\r\n',
    "nothing.json": b"null",
    "mark.json": b"\xef\xbb\xbf",
    "white.json": b"\n\n",
    "comment.json": b"// Settings of mine: {}",
    "comments.json": b"\xef\xbb\xbf// one\r\n/* two\r\n*/\r\n",
    "comment.toml": b"# mine\n",
    "mark.toml": b"\xef\xbb\xbf# mine",
    "comment.yaml": b"# mine",
    "null.yaml": b"a: 1\nservers:\nb: 2\n",
    "null-last.yaml": b"a: 1\nservers:",
    "null-comment.yaml": b"servers:  # none yet\r\nb: 2\r\n",
    "null-word.yaml": b"servers: null # none\nb: 2\n",
    "null-tilde.yaml": b"servers: ~",
    "null-flow.yaml": b"{servers: null, b: 2}\n",
    "nothing.yaml": b"---\n# mine\n",
    "white.yaml": b"\n\n",
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_file_in_which_nothing_stands_takes_an_entry_and_comes_back(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(EMPTY[name])
    form = FORMS[path.suffix]
    put(path, form)
    made = SettingsFile(path, form)
    assert made.has(OURS)
    assert made.data is not None
    for word in (b"mine", b"none", b"Settings", b"two", b'"a": 1', b"b: 2"):
        assert (word in made.data) == (word in EMPTY[name])
    assert put(path, form) is None
    undo(path, form)
    assert path.read_bytes() == EMPTY[name]
    assert files(path) == [name]


@pytest.mark.parametrize("name", sorted(EMPTY.keys() - {"null-flow.yaml"}))
def test_without_its_backup_the_entry_alone_is_taken_out(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(EMPTY[name])
    form = FORMS[path.suffix]
    before = SettingsFile(path, form).value(("b",))
    backup = put(path, form)
    assert backup is not None
    backup.unlink()
    undo(path, form)
    after = SettingsFile(path, form)
    assert after.value(OURS[0].path) is MISSING
    assert after.value(("b",)) == before


@pytest.mark.parametrize("name", ["twice.json", "nan.json", "twice.toml", "twice.yaml"])
def test_nor_is_it_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(REFUSED[name][0])
    with pytest.raises(Refused, match=REFUSED[name][1]):
        SettingsFile(path, FORMS[path.suffix]).value(("servers",))


def read_only(path: Path) -> None:
    path.chmod(0o444)


def second_name(path: Path) -> None:
    path.with_name("second").hardlink_to(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize("made", [read_only, second_name, folder, circle])
def test_a_file_that_is_not_ours_to_change_is_left_alone(
    path: Path, made: Callable[[Path], None]
) -> None:
    made(path)
    names = files(path)
    with pytest.raises(Refused):
        put(path)
    assert files(path) == names
    if path.is_file():
        assert path.read_bytes() == BEFORE


@pytest.mark.parametrize("after", [b'{"new": 1}', None])
def test_a_file_that_changed_meanwhile_is_left_alone(path: Path, after: bytes | None) -> None:
    change = SettingsFile(path, jsonc).put(OURS)
    path.unlink()
    if after is not None:
        path.write_bytes(after)
    with pytest.raises(Refused, match="changed meanwhile"):
        change.write()
    assert (path.read_bytes() if path.exists() else None) == after
    assert not [name for name in files(path) if name.endswith(".tmp")]


def test_a_folder_that_is_not_there_is_made_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "new" / "settings.json"
    with pytest.raises(Refused):
        put(path)
    assert not path.parent.exists()
    SettingsFile(path, jsonc).put(OURS).write(make_folder=True)
    assert SettingsFile(path, jsonc).has(OURS)


FULL = """
import resource, sys
from pathlib import Path
from codexapi_cli.integrations.edits import Entry, SettingsFile, jsonc
path = Path(sys.argv[1])
change = SettingsFile(path, jsonc).put([Entry(("servers", "ours"), {"command": "x" * 100})])
size = path.stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
change.write()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_write_that_breaks_off_leaves_the_file_as_it_was(path: Path) -> None:
    """The disk is full after the backup, and within the new file."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], env=environment(), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert "Refused" in done.stderr
    assert path.read_bytes() == BEFORE
    assert [name for name in files(path) if not name.endswith(".bak")] == ["settings.json"]


def test_a_change_is_shown_as_a_diff(path: Path) -> None:
    shown = SettingsFile(path, jsonc).put(OURS).diff()
    assert shown.startswith(f"--- {path}\n+++ {path}\n@@ ")
    assert '+    "ours": {\n' in shown
    path.write_bytes(b'{"a": 1}')
    assert "\\ No newline at end of file\n" in SettingsFile(path, jsonc).put(OURS).diff()
    path.unlink()
    assert SettingsFile(path, jsonc).put(OURS).diff().startswith(f"--- {os.devnull}\n+++ {path}\n")


def test_a_value_is_told_from_none(path: Path) -> None:
    file = SettingsFile(path, jsonc)
    assert file.value(("servers",)) == {}
    assert file.value(("servers", "ours")) is MISSING
    assert file.value(("nothing", "at", "all")) is MISSING


def test_a_snippet_is_the_entry_alone() -> None:
    assert jsonc.parse(snippet(jsonc, OURS)) == {"servers": {"ours": OURS[0].value}}
    assert toml.parse(snippet(toml, OURS)) == {"servers": {"ours": OURS[0].value}}
    assert yaml.parse(snippet(yaml, OURS)) == {"servers": {"ours": OURS[0].value}}


GOLDEN = Path(__file__).parent / "golden" / "edits"


@pytest.mark.parametrize("before", sorted(GOLDEN.glob("*.before.*")), ids=lambda path: path.name)
def test_edits_are_as_a_person_would_make_them(before: Path, tmp_path: Path) -> None:
    path = tmp_path / f"settings{before.suffix}"
    path.write_bytes(before.read_bytes())
    put(path, FORMS[before.suffix], force=True)
    after = before.with_name(before.name.replace("before", "after"))
    assert path.read_text() == after.read_text()
    undo(path, FORMS[before.suffix])
    assert path.read_bytes() == before.read_bytes()
