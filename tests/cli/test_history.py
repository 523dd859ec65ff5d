"""The chats that are kept: what `-c` goes on with, and what `codexapi history` tells."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest
from tests.cli.shell import run
from tests.odd_files import KINDS, put_odd_file
from tests.two_accounts import TwoAccounts

from codexapi_cli.conversation.ask import _go_on
from codexapi_cli.conversation.chat_history import ChatHistory, Turn, transcript
from codexapi_cli.conversation.question import Question
from codexapi_cli.conversation.turns import Conversation
from codexapi_cli.terminal.answer import SilentSink
from codexapi_engine import Codex, Settings, Unavailable
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.store import InMemory
from codexapi_engine.protocol.responses import user
from codexapi_engine.simulator import Simulator
from codexapi_engine.storage import Owner

ANSWER = {
    "type": "message", "role": "assistant",
    "content": [{"type": "output_text", "text": "Yes."}],
}  # fmt: skip

NOTHING = Turn([], [], [])


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, str]:
    """An environment whose chats are kept in a folder of its own."""
    return {"CODEXAPI_NO_LOG": "", "CODEXAPI_STATE_DIR": str(tmp_path / "state")}


def chats(kept: dict[str, str]) -> list[dict[str, object]]:
    listed: list[dict[str, object]] = json.loads(
        run("history", "--demo", "--json", env=kept).stdout
    )
    return listed


def chat(kept: dict[str, str], *arguments: str) -> str:
    done = run("chat", "--demo", *arguments, env=kept)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_chat_goes_on_with_all_that_was_said(kept: dict[str, str]) -> None:
    chat(kept, "-m", "gpt-6-luna", "-s", "Be kind.", "[[say One.]]")
    done = run("chat", "--demo", "-c", "--dry-run", "and then", env=kept)
    body = json.loads(done.stdout)["body"]
    assert (body["model"], body["instructions"]) == ("gpt-6-luna", "Be kind.")
    told = [
        (item["type"], part["text"]) for item in body["input"] for part in item.get("content") or ()
    ]
    assert told == [("message", "[[say One.]]"), ("message", "One."), ("message", "and then")]
    assert body["prompt_cache_key"] == chats(kept)[0]["cid"]
    assert chat(kept, "-c", "[[say Two.]]") == "Two.\n"
    assert [(head["turns"], head["title"]) for head in chats(kept)] == [(2, "[[say One.]]")]


def test_another_model_is_not_given_reasoning_that_it_cannot_read(kept: dict[str, str]) -> None:
    chat(kept, "-m", "gpt-6-luna", "hello")
    for model, there in (("gpt-6-luna", True), ("gpt-6.1-sol", False)):
        done = run("chat", "--demo", "-c", "-m", model, "--dry-run", "on", env=kept)
        kinds = [item["type"] for item in json.loads(done.stdout)["body"]["input"]]
        assert ("reasoning" in kinds) is there
    chat(kept, "-c", "-m", "gpt-6.1-sol", "hello")


def test_a_chat_is_found_by_the_beginning_of_its_id(kept: dict[str, str]) -> None:
    chat(kept, "[[say One.]]")
    chat(kept, "[[say Two.]]")
    latest, first = chats(kept)
    assert chat(kept, "--cid", str(first["cid"])[:8], "[[say Three.]]") == "Three.\n"
    assert [head["cid"] for head in chats(kept)] == [first["cid"], latest["cid"]]


@pytest.mark.parametrize("option", [("-c",), ("--cid", "nothing")])
def test_a_chat_that_is_not_there_is_said_so(option: tuple[str, ...], kept: dict[str, str]) -> None:
    done = run("chat", "--demo", *option, "hi", env=kept)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
def test_nobody_else_can_read_it(kept: dict[str, str]) -> None:
    chat(kept, "hi")
    state = Path(kept["CODEXAPI_STATE_DIR"])
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()} == {0o600}


@pytest.mark.parametrize("how", [("--no-log",), ()])
def test_nothing_is_kept_where_that_is_not_wanted(how: tuple[str, ...], tmp_path: Path) -> None:
    kept = {"CODEXAPI_STATE_DIR": str(tmp_path / "state"), "CODEXAPI_NO_LOG": "" if how else "1"}
    chat(kept, *how, "hi")
    assert not (tmp_path / "state").exists()


def test_an_answer_that_broke_off_is_not_kept(kept: dict[str, str]) -> None:
    assert run("chat", "--demo", "[[long 3]] [[cut 2]]", env=kept).returncode == 5
    assert chats(kept) == []


def test_a_history_that_cannot_be_written_costs_no_answer(kept: dict[str, str]) -> None:
    Path(kept["CODEXAPI_STATE_DIR"]).write_text("a file")
    done = run("chat", "--demo", "[[say Hello.]]", env=kept)
    assert (done.returncode, done.stdout) == (0, "Hello.\n")
    assert "the chat was not kept" in done.stderr
    assert run("chat", "--demo", "-c", "on", env=kept).returncode == 7


def test_the_simulated_chats_are_apart(kept: dict[str, str]) -> None:
    chat(kept, "hi")
    assert json.loads(run("history", "--json", env=kept).stdout) == []


def test_history_lists_shows_and_forgets(kept: dict[str, str]) -> None:
    chat(kept, "[[say One.]]")
    chat(kept, "[[say Two.]]")
    latest, first = (str(head["cid"]) for head in chats(kept))
    listed = run("history", "--demo", env=kept).stdout.splitlines()
    assert [line.split()[0] for line in listed] == [latest, first]
    assert run("history", "--demo", "-n", "1", env=kept).stdout.splitlines() == listed[:1]
    assert run("history", "show", "--demo", env=kept).stdout == "> [[say Two.]]\n\nTwo.\n"
    shown = json.loads(run("history", "show", first, "--json", "--demo", env=kept).stdout)
    assert shown["items"][-1]["content"][0]["text"] == "One."
    assert run("history", "rm", first, "--demo", env=kept).returncode == 0
    assert [head["cid"] for head in chats(kept)] == [latest]
    assert run("history", "clear", "--demo", env=kept).returncode == 2
    assert len(chats(kept)) == 1
    assert run("history", "clear", "--yes", "--demo", env=kept).returncode == 0
    assert chats(kept) == []


def test_a_chat_is_found_by_a_text_in_it(kept: dict[str, str]) -> None:
    chat(kept, "[[say The moon is far.]]")
    chat(kept, "[[say Two.]]")
    chat(kept, "-c", "[[say A later turn.]]")
    for text, answer in (("MOON is", "The moon"), ("a LATER turn.", "Two.")):
        (line,) = run("history", "--demo", "-S", text, env=kept).stdout.splitlines()
        assert answer in line
    assert run("history", "--demo", "--search", "say", "-n", "1", env=kept).stdout.count("\n") == 1
    none = run("history", "--demo", "--search", "nowhere", env=kept)
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr == "codexapi: no chat has this text; `codexapi history` lists all\n"


@pytest.mark.parametrize("arguments", [("show",), ("show", "nothing"), ("rm", "nothing")])
def test_what_is_not_there_cannot_be_shown_or_forgotten(
    arguments: tuple[str, ...], kept: dict[str, str]
) -> None:
    assert run("history", *arguments, "--demo", env=kept).returncode == 2


def test_history_says_where_it_is(kept: dict[str, str]) -> None:
    assert run("history", "path", env=kept).stdout.strip().startswith(kept["CODEXAPI_STATE_DIR"])


def test_an_id_of_two_chats_names_neither(tmp_path: Path) -> None:
    with ChatHistory(tmp_path / "history.db") as past:
        for cid in ("ab1", "ab2"):
            past.keep(cid, NOTHING, title="t" * 100, model="m", account="a", system=None)
        assert past.find("ab") is None
        assert past.find("") is None
        found = past.find("ab1")
        assert found is not None
        assert (found["cid"], len(found["title"])) == ("ab1", 72)


def test_only_its_own_model_reads_reasoning() -> None:
    items = [user("hi"), {"type": "reasoning", "encrypted_content": "x"}, ANSWER]
    talk = Conversation("a:low", items=items)
    talk.switch("a:high")
    assert talk.items == items
    talk.switch("b")
    assert talk.items == [items[0], items[2]]


def test_only_its_own_account_reads_reasoning() -> None:
    items = [user("hi"), {"type": "reasoning", "encrypted_content": "x"}, ANSWER]
    talk = Conversation("a", items=items)
    talk.switch("a", "one")
    assert talk.items == items, "of before there were owners"
    talk.switch("a")
    assert (talk.items, talk.account) == (items, "one")
    talk.switch("a", "two")
    assert talk.items == [items[0], items[2]]


async def test_a_chat_goes_on_after_another_account_has_logged_in(tmp_path: Path) -> None:
    backend, log = TwoAccounts(), tmp_path / "history.db"
    settings = Settings(codex_home=tmp_path, base_url="http://127.0.0.1:1")
    http = in_process(backend.handle)
    async with Codex(settings, http=http, store=backend.store) as codex:
        talk = Conversation(await codex.model("gpt-5.5"), log=log)
        await talk.turn(codex, Question("one"), SilentSink)
        for account, encrypted in (("A", 1), ("B", 0), ("B", 1), ("A", 0)):
            await backend.log_in(account)
            with ChatHistory(log) as past:
                kept = past.items(talk.cid)
                again = Conversation(
                    "gpt-5.5", cid=talk.cid, items=kept, account=past.account(talk.cid)
                )
            again.log = log
            await again.turn(codex, Question(f"as {account}"), SilentSink)
            kinds = [item["type"] for item in backend.bodies[-1]["input"]]
            assert kinds.count("reasoning") == encrypted, (account, kinds)
    assert backend.refusals == 0


async def test_a_chat_is_of_the_account_that_answered(tmp_path: Path) -> None:
    backend = TwoAccounts()
    backend.login_changes = True
    settings = Settings(codex_home=tmp_path, base_url="http://127.0.0.1:1")
    async with Codex(settings, http=in_process(backend.handle), store=backend.store) as codex:
        talk = Conversation("gpt-5.5", effort="high")
        await talk.turn(codex, Question("one"), SilentSink)
        assert talk.account == Owner.of(backend.accounts.account_of("B").account_id, "").account


async def test_what_the_backend_cannot_read_is_noted_and_left_out_of_a_chat(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = TwoAccounts()
    settings = Settings(codex_home=tmp_path, base_url="http://127.0.0.1:1")
    http = in_process(backend.handle)
    async with Codex(settings, http=http, store=backend.store) as codex:
        talk = Conversation(await codex.model("gpt-5.5"))
        for prompt in ("one", "two", "three"):
            await talk.turn(codex, Question(prompt), SilentSink)
            if prompt == "one":
                backend.accounts.rotate_keys()
    assert "the model's earlier reasoning could not be read" in capsys.readouterr().err
    assert backend.refusals == 1, "what was refused once is not sent again"


def test_a_chat_is_kept_with_its_account_and_shown_without(tmp_path: Path) -> None:
    with ChatHistory(tmp_path / "history.db") as past:
        past.keep("ab1", NOTHING, title="t", model="m", account="hash", system=None)
        assert past.account("ab1") == "hash"
        assert past.account("gone") == ""
        assert "hash" not in str(list(past.heads()))


@asynccontextmanager
async def two_talks(log: Path) -> AsyncIterator[tuple[Codex, Conversation, Conversation]]:
    """Two programs that go on with one chat at the same time, each as it is now."""
    settings = Settings(codex_home=log.parent, base_url="http://127.0.0.1:1")
    simulator = Simulator()
    http, store = in_process(simulator.handle), InMemory(simulator.login())
    async with Codex(settings, http=http, store=store) as codex:
        first = Conversation("gpt-6.1-sol", log=log)
        await first.turn(codex, Question("[[say begun]]"), SilentSink)
        second = Conversation("gpt-6.1-sol")
        _go_on(second, log, None, None)
        second.log = log
        yield codex, first, second


def texts(log: Path, cid: str) -> tuple[list[str], int]:
    """What was said in a chat, and how many turns it has."""
    with ChatHistory(log) as past:
        head = past.find(cid)
        assert head is not None
        items = [item for item in past.items(cid) if item["type"] == "message"]
    return [item["content"][0]["text"] for item in items], head["turns"]


async def test_two_that_go_on_with_one_chat_lose_no_turn(tmp_path: Path) -> None:
    log = tmp_path / "history.db"
    said = ["[[say begun]]", "begun"]
    async with two_talks(log) as (codex, first, second):
        for talk, word in ((first, "a"), (second, "b"), (first, "c"), (second, "d")):
            await talk.turn(codex, Question(f"[[say {word}]]"), SilentSink)
            said += [f"[[say {word}]]", word]
            assert texts(log, first.cid) == (said, len(said) // 2)


async def test_two_turns_of_one_chat_at_once_are_both_kept(tmp_path: Path) -> None:
    log = tmp_path / "history.db"
    async with two_talks(log) as (codex, first, second):
        await asyncio.gather(
            first.turn(codex, Question("[[say a]]"), SilentSink),
            second.turn(codex, Question("[[say b]]"), SilentSink),
        )
        said, turns = texts(log, first.cid)
    assert (sorted(said), turns) == (
        sorted(["[[say begun]]", "begun", "[[say a]]", "a", "[[say b]]", "b"]),
        3,
    )


async def test_a_turn_that_could_not_be_kept_is_kept_with_the_next(tmp_path: Path) -> None:
    log = tmp_path / "history.db"
    async with two_talks(log) as (codex, first, second):
        first.log = tmp_path  # a folder is no history
        await first.turn(codex, Question("[[say a]]"), SilentSink)
        first.log = log
        await second.turn(codex, Question("[[say b]]"), SilentSink)
        await first.turn(codex, Question("[[say c]]"), SilentSink)
        said, _ = texts(log, first.cid)
    assert said[1::2] == ["begun", "b", "a", "c"]


@pytest.mark.parametrize(
    "arguments", [("history",), ("history", "show"), ("chat", "--dry-run", "-c", "on")]
)
def test_the_history_is_read_while_another_program_writes(
    arguments: tuple[str, ...], kept: dict[str, str]
) -> None:
    chat(kept, "[[say One.]]")
    other = sqlite3.connect(Path(kept["CODEXAPI_STATE_DIR"]) / "history-demo.db")
    other.execute("BEGIN IMMEDIATE")
    try:
        done = run(*arguments, "--demo", env=kept)
    finally:
        other.close()
    assert (done.returncode, done.stderr) == (0, "")
    assert "One." in done.stdout


ODD_ROWS = [
    "x", b"\xff", 1, "[]", "{}", '{"cid": 1, "updated_at": 1, "model": "m"}', '{"updated_at": 1e999}',
    '{"updated_at": 1e18, "model": "m", "title": "t"}', '{"updated_at": -1e17, "model": "m"}',
    '{"updated_at": 1, "model": {}}', '{"updated_at": 1, "model": "m", "turns": [], "system": 1}',
    '{"items": 1}', '{"items": [1, {"type": "message", "content": [1]}], "account": []}',
]  # fmt: skip


@pytest.mark.parametrize("row", ODD_ROWS)
def test_a_row_of_another_shape_is_no_chat(row: object, tmp_path: Path) -> None:
    log = tmp_path / "history.db"
    ChatHistory(log).close()
    database = sqlite3.connect(log)
    with database:
        for kind in ("head", "chat"):
            for name in ("ab1", b"ab2"):
                database.execute(
                    "INSERT INTO objects (kind, id, bytes, value) VALUES (?, ?, 1, ?)",
                    (kind, name, row),
                )
    database.close()
    with ChatHistory(log) as past:
        for head in past.heads():
            datetime.fromtimestamp(head["updated_at"])
            assert all(isinstance(head[name], str) for name in ("cid", "model", "title"))
        transcript(past.items("ab1"))
        past.keep(
            "ab1", Turn([ANSWER], [], [ANSWER]), title="t", model="m", account="", system=None
        )
        assert past.find("ab1") is not None
        past.remove("ab1")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of these")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_no_history(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    put_odd_file(path, kind)
    with pytest.raises(Unavailable, match="cannot be used"):
        ChatHistory(path)


def test_a_transcript_names_what_it_cannot_show() -> None:
    items = [user("look\n\nhere", ["data:image/png;base64,AA"]), {"type": "reasoning"}, ANSWER]
    assert transcript(items) == "> look\n>\n> here\n>\n> [image]\n\nYes.\n"


def test_a_transcript_has_the_answer_and_not_its_reasoning() -> None:
    content = [
        {"type": "reasoning_text", "text": "Which city?"},
        {"type": "output_text", "text": "Oslo."},
        {"type": "refusal", "refusal": "No more."},
    ]
    answer = {"type": "message", "role": "assistant", "content": content}
    assert transcript([answer]) == "Oslo.\n\nNo more.\n"


def test_lines_are_kept_once_and_are_forgotten_with_their_chat(tmp_path: Path) -> None:
    with ChatHistory(tmp_path / "history.db") as past:
        for text, cid in (("one", "a"), ("two\nlines", "b"), ("one", "b"), ("x" * 100_000, "b")):
            past.add_line(text, cid)
        past.add_line("three \ud83d", "a")  # half an emoji
        assert past.lines() == ["three \ufffd", "one", "two\nlines"]
        past.remove("b")
        assert past.lines() == ["three \ufffd"]
        past.clear()
        assert past.lines() == []


def test_an_empty_history_says_so(kept: dict[str, str]) -> None:
    done = run("history", "--demo", env=kept)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no chat is kept here yet" in done.stderr
    assert run("history", "--demo", "--json", env=kept).stdout == "[]\n"
