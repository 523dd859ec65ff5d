"""`codexapi chat` on a terminal: what a person types, and what then stands on the screen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.live_screens import ESCAPE, UP, chat_screen, screen
from tests.cli.shell import PATIENCE, run
from tests.processes import codexapi, environment, simulator

if sys.platform == "win32":
    pytest.skip("opens terminals", allow_module_level=True)


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, str]:
    """An environment whose chats are kept in a folder of its own."""
    return {"CODEXAPI_NO_LOG": "", "CODEXAPI_STATE_DIR": str(tmp_path / "state")}


def request_after(kept: dict[str, str]) -> list[dict[str, object]]:
    """The input of the request with which the newest chat would go on."""
    done = run("chat", "--demo", "-c", "--dry-run", "on", env=kept)
    items: list[dict[str, object]] = json.loads(done.stdout)["body"]["input"]
    return items


def questions(kept: dict[str, str]) -> list[str]:
    """The texts of the newest chat's questions."""
    return [
        part["text"]
        for item in request_after(kept)[:-1]
        if item.get("role") == "user"
        for part in item["content"]  # type: ignore[attr-defined]
        if "text" in part
    ]


# How it begins and ends


@pytest.mark.parametrize("arguments", [(), ("-m", "gpt-6-luna", "-s", "Be kind.")])
def test_a_chat_without_a_question_starts_to_talk(arguments: tuple[str, ...]) -> None:
    with chat_screen(*arguments) as shown:
        assert shown.lines[0].startswith("gpt-6-luna; " if arguments else "gpt-6.2-sol; ")
        assert len(shown.lines) == 2
        shown.enter("[[say I listen.]]", "I listen.")
        shown.type("\x04")
        assert shown.end() == 0


@pytest.mark.parametrize("arguments", [("--json",), ("--no-stdin",), ("-o", "x.txt"), ("",)])
def test_what_cannot_talk_says_in_one_line_that_there_is_no_question(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    with screen("chat", "--demo", *arguments, cwd=tmp_path) as shown:
        assert shown.end() == 2
        assert "nothing to ask" in shown.text
        assert len(shown.lines) <= 3


def test_an_empty_pipe_without_a_question_is_one_line() -> None:
    done = run("chat", "--demo", stdin=b"")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_without_a_login_nothing_needs_to_be_typed(tmp_path: Path) -> None:
    with screen("chat", env={"CODEX_HOME": str(tmp_path)}) as shown:
        assert shown.end() == 3
        assert "> " not in shown.text


def test_a_name_that_no_model_has_is_said_at_once() -> None:
    with chat_screen("-m", "gpt-6-lun") as shown:
        assert "there is no model gpt-6-lun; did you mean gpt-6-luna?" in shown.text


def test_ctrl_c_clears_the_line_and_leaves_when_it_comes_twice() -> None:
    with chat_screen() as shown:
        shown.type("half a line")
        shown.see("half a line")
        shown.type("\x03")
        shown.wait(lambda: shown.is_at_prompt)
        shown.enter("[[say Whole.]]", "Whole.")
        shown.type("\x03")
        shown.see("Ctrl-C again")
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("\x03")
        assert shown.end() == 0
        assert "You said" not in shown.text


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, None)]
)
def test_a_signal_at_the_prompt_is_heeded(number: signal.Signals, code: int | None) -> None:
    with chat_screen() as shown:
        shown.child.kill(number)
        if code is None:  # as Ctrl-C
            shown.see("Ctrl-C again")
            shown.type("\x04")
        assert shown.end() == (code or 0)


def test_the_line_editor_is_loaded_for_a_person_alone() -> None:
    command = codexapi("chat", "--demo", "hi")
    command[1:1] = ["-X", "importtime"]
    done = subprocess.run(
        command, env=environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL,
        check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert "codexapi_cli.conversation.turns" in done.stderr
    for module in (
        "prompt_toolkit",
        "codexapi_cli.conversation.interactive",
        "codexapi_cli.conversation.slash",
    ):
        assert module not in done.stderr


def test_what_is_typed_before_the_first_prompt_counts(kept: dict[str, str]) -> None:
    with screen("chat", "--demo", env=kept) as shown:
        shown.wait(lambda: "Ctrl-D leaves" in shown.text)
        shown.type("[[say Early.]]\r\x04")
        assert shown.end() == 0
        assert "\nEarly." in shown.text


# What is typed and pasted


def test_a_paste_is_one_question_whatever_stands_in_it(kept: dict[str, str]) -> None:
    text = "def f(x):\r    return x\r\r/bye\r/model gpt-6-luna\r/nonsense\rprint(f(1))"
    with chat_screen(env=kept) as shown:
        shown.paste(text)
        shown.see("print(f(1))")
        assert "You said" not in shown.text
        shown.type("\r")
        shown.see("You said")
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("\x04")
        assert shown.end() == 0
    assert questions(kept) == [text.replace("\r", "\n")]


def test_a_paste_with_a_newline_at_its_end_waits_for_enter(kept: dict[str, str]) -> None:
    with chat_screen(env=kept) as shown:
        shown.paste("/bye\n")
        shown.see("/bye")
        shown.enter("", "You said")
        shown.type("\x04")
        assert shown.end() == 0
    assert questions(kept) == ["/bye\n"]


def test_a_paste_of_code_in_triple_quotes_is_as_it_was(kept: dict[str, str]) -> None:
    with chat_screen(env=kept) as shown:
        shown.paste('"""Doc."""\rx = """')
        shown.see("x =")
        shown.enter("", "You said")
    assert questions(kept) == ['"""Doc."""\nx = """']


@pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")
def test_a_paste_in_tmux_is_one_question(tmp_path: Path, kept: dict[str, str]) -> None:
    def tmux(*arguments: str, stdin: bytes | None = None) -> str:
        command = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null", *arguments]
        done = subprocess.run(
            command, input=stdin, env=environment(**kept), capture_output=True, check=True,
            timeout=PATIENCE,
        )  # fmt: skip
        return done.stdout.decode()

    def see(text: str) -> str:
        while text not in (found := tmux("capture-pane", "-p", "-t", "chat")):
            pass
        return found

    tmux("new-session", "-d", "-s", "chat", "-x", "80", "-y", "24", *codexapi("chat", "--demo"))
    try:
        see("\n>")
        tmux("load-buffer", "-", stdin=b"first\n/bye\nlast line")
        tmux("paste-buffer", "-p", "-t", "chat")
        assert "You said" not in see("last line")
        tmux("send-keys", "-t", "chat", "Enter")
        see("You said")
        tmux("send-keys", "-t", "chat", "Enter", "/help", "Enter")
        see("list the commands")
    finally:
        tmux("kill-server")
    assert questions(kept) == ["first\n/bye\nlast line"]


def test_a_question_may_have_several_lines(kept: dict[str, str]) -> None:
    lines = []
    with chat_screen(env=kept) as shown:
        for number, more in enumerate(("\\\r", f"{ESCAPE}\r", "\n")):
            shown.type(f"[[say {number} one")
            shown.see(f"{number} one")
            shown.type(more)
            shown.wait(lambda: shown.lines[-1] == "…")
            shown.type("two]]\r")
            shown.see(f"\n{number} one two")
            shown.wait(lambda: shown.is_at_prompt)
            lines.append(f"[[say {number} one\ntwo]]")
    assert questions(kept) == lines


def test_a_text_between_triple_quotes_has_several_lines(kept: dict[str, str]) -> None:
    with chat_screen(env=kept) as shown:
        shown.type('"""first\r')
        shown.see("…")
        shown.type('second"""\r')
        shown.see("You said")
        shown.wait(lambda: shown.is_at_prompt)
    assert questions(kept) == ["first\nsecond"]


def test_what_is_typed_while_an_answer_comes_is_the_next_line() -> None:
    with chat_screen("--raw") as shown:
        shown.type("[[slow 0.05]] [[long 30]]\r")
        shown.see("1 2 3")
        shown.type("[[say Ahead.]]\r")
        shown.see("\nAhead.")
        shown.wait(lambda: shown.is_at_prompt)
        answer = " ".join(str(n) for n in range(1, 31))
        assert shown.lines[-4:-1] == [answer, "> [[say Ahead.]]", "Ahead."]


def test_lines_that_a_program_sends_end_in_a_newline() -> None:
    with chat_screen() as shown:
        shown.child.sendline("[[say Sent.]]")
        shown.see("\nSent.")


# Earlier lines


def test_earlier_lines_are_found_in_the_next_session(kept: dict[str, str], tmp_path: Path) -> None:
    with chat_screen(env=kept) as shown:
        shown.enter("[[say First.]]", "First.")
        shown.paste("two\rlines")
        shown.enter("", "You said")
        shown.type("\x04")
        assert shown.end() == 0
    state = tmp_path / "state"
    assert {stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()} == {0o600}
    with chat_screen(env=kept) as shown:
        shown.type(UP)
        shown.see("> two\n… lines")
        shown.type(f"{UP}{UP}")
        shown.see("[[say First.]]")
    with chat_screen("--no-log", env=kept) as shown:
        shown.enter("[[say Secret.]]", "Secret.")
        shown.type("\x04")
        assert shown.end() == 0
    assert run("history", "clear", "--yes", "--demo", env=kept).returncode == 0
    with chat_screen(env=kept) as shown:
        shown.type(UP)
        shown.enter("[[say Nothing.]]", "Nothing.")
        assert "two" not in shown.text
    assert not any(b"Secret" in file.read_bytes() for file in state.iterdir())


# The Tab key


COMPLETED = {
    "/mod\t": "> /model ",
    "/model gpt-6-lu\t": "> /model gpt-6-luna",
    "/effort hi\t": "> /effort high",
    "/attach My\t": r"> /attach My\ Photo.txt ",
    "/attach 'My\t": "> /attach 'My Photo.txt' ",
    "/attach ~/fol\t": "> /attach ~/folder/",
    "/save folder/in\t": "> /save folder/inside.md ",
    "a question /mod\t": "> a question /mod",
}


def test_tab_completes_commands_models_efforts_and_files(tmp_path: Path) -> None:
    (tmp_path / "My Photo.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside.md").write_text("x")
    with chat_screen(cwd=tmp_path, env={"HOME": str(tmp_path)}) as shown:
        for keys, line in COMPLETED.items():
            shown.type(keys)
            shown.see(line.rstrip())
            shown.type("!")
            shown.see(f"{line}!")
            shown.type("\x15")
            shown.wait(lambda: shown.is_at_prompt)


def test_tab_lists_commands_and_models_with_what_they_are() -> None:
    with chat_screen() as shown:
        shown.type("/\t")
        shown.see("take the last turn back")
        shown.type("\x03")
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("/model gpt-6-\t")
        shown.see("gpt-6-luna")
        assert "gpt-6-sol" in shown.text


def test_the_name_of_a_file_is_clean_when_it_is_offered(tmp_path: Path) -> None:
    (tmp_path / "a\x1b]0;evil\x07b.txt").write_text("x")
    (tmp_path / "a other.txt").write_text("x")
    (tmp_path / "c\u202etxt.exe").write_text("x")
    with chat_screen(cwd=tmp_path) as shown:
        shown.type("/attach a\t")
        shown.see("other.txt")
        assert b"\x1b]0;" not in shown.output
        shown.type("\x03")
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("/attach c\t")
        shown.see("> /attach c?txt.exe")
        assert "\u202e".encode() not in shown.output


# Commands


def test_models_are_listed_checked_and_changed() -> None:
    with chat_screen() as shown:
        shown.enter("/model", "(default)")
        assert any(line.startswith("* gpt-6.2-sol") for line in shown.lines)
        shown.enter("/model gpt-nope", "there is no model gpt-nope")
        assert "The default is gpt-6.2-sol; /model lists them" in " ".join(shown.text.split())
        shown.enter("/model llama", "there is no model llama; the default is gpt-6.2-sol;")
        shown.enter("/model gpt-6-luna", "gpt-6-luna answers")
        shown.enter("/effort hgh", "did you mean high?")
        shown.enter("/effort ultra", "gpt-6-luna has no effort ultra")
        shown.enter("/effort high", "effort: high;")
        shown.enter("/model gpt-6.2-sol", "gpt-6.2-sol answers")
        shown.enter("/effort ultra", "effort: ultra;")
        shown.enter("[[say Fine.]]", "Fine.")


def test_a_command_without_an_argument_takes_none(kept: dict[str, str]) -> None:
    with chat_screen(env=kept) as shown:
        shown.enter("[[say One.]]", "One.")
        for name in ("undo", "new", "bye"):
            shown.enter(f"/{name} now", f"/{name} stands alone (//{name} sends it as text)")
        shown.enter("/undo", "taken back: [[say One.]]")


def test_the_effort_that_a_models_name_has_is_shown() -> None:
    with chat_screen("-m", "gpt-6.2-sol:ultra") as shown:
        shown.enter("/effort", "effort: default (ultra);")
        shown.enter("/effort LOW", "effort: low;")


def test_a_file_is_attached_once(tmp_path: Path, kept: dict[str, str]) -> None:
    (tmp_path / "a.txt").write_text("alpha")
    (tmp_path / "more.txt").write_text("alpha and more")
    with chat_screen(cwd=tmp_path, env=kept) as shown:
        shown.enter("/attach a.txt a.txt", "attached a.txt; it goes")
        shown.enter("/attach more.txt", "attached more.txt; it goes")
        shown.enter("/attach ./a.txt", "a.txt is attached already")
        shown.enter("/attach", "for the next question: a.txt, more.txt")


def test_several_files_are_attached_at_once(tmp_path: Path, kept: dict[str, str]) -> None:
    (tmp_path / "My Photo.txt").write_text("[[say I read both.]]")
    (tmp_path / "other.txt").write_text("the other")
    with chat_screen(cwd=tmp_path, env=kept) as shown:
        shown.enter(r"/attach My\ Photo.txt other.txt", "they go with your next question")
        shown.enter("look", "I read both.")
        shown.enter(f"'{tmp_path}/other.txt' ", "attached other.txt; it goes")
        shown.enter("/attach none.txt", "none.txt: No such file")
        shown.enter("/attach 'other.txt", "is not closed")
        shown.enter("/attach", "for the next question: other.txt")
        shown.enter("[[status bad_gateway]]", "upstream_error")
        shown.enter("/undo", "not attached any more")
    (first,) = questions(kept)
    assert first.startswith('look\n\n<file name="My Photo.txt">')
    assert "the other" in first


def test_a_picture_is_drawn_saved_and_part_of_the_talk(
    tmp_path: Path, kept: dict[str, str]
) -> None:
    with chat_screen(cwd=tmp_path, env=kept, width=200) as shown:
        shown.enter("/image a red fox", str(tmp_path / "a-red-fox-"))
        shown.enter("[[say A fox.]]", "A fox.")
        shown.enter("/image", "say what to draw")
        shown.enter("/image [[blocked]]", "moderation_blocked")
        shown.enter("[[say Still.]]", "Still.")
    (picture,) = tmp_path.glob("a-red-fox-*.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    first = request_after(kept)[0]["content"]
    assert [part["type"] for part in first] == ["input_text", "input_image"]  # type: ignore[attr-defined]


def test_the_last_turn_is_taken_back_in_the_history_too(kept: dict[str, str]) -> None:
    with chat_screen(env=kept) as shown:
        shown.enter("[[say One.]]", "One.")
        shown.enter("[[say Two.]]", "Two.")
        other = run("chat", "--demo", "-c", "[[say Theirs.]]", env=kept)
        assert other.returncode == 0
        shown.enter("/undo", "taken back: [[say Two.]]")
        shown.enter("[[say Three.]]", "Three.")
        assert questions(kept) == ["[[say One.]]", "[[say Theirs.]]", "[[say Three.]]"]
        for text in ("Three", "Theirs", "One"):
            shown.enter("/undo", f"taken back: [[say {text}.]]")
        shown.enter("/undo", "this chat has no turn")
        assert run("history", "--demo", env=kept).stdout == ""


def test_the_last_question_is_asked_again_in_place_of_the_first_time(
    tmp_path: Path, kept: dict[str, str]
) -> None:
    (tmp_path / "notes.txt").write_text("some notes")
    with chat_screen(env=kept, cwd=tmp_path) as shown:
        shown.enter("/retry", "there is no answer to replace")
        shown.enter("[[say One.]]", "One.")
        shown.enter("/attach notes.txt", "attached notes.txt")
        shown.enter("[[say Two.]]", "Two.")
        before = request_after(kept)[:-1]
        shown.enter("/model gpt-6-luna", "gpt-6-luna answers")
        shown.type("/retry\r")
        shown.wait(lambda: shown.text.count("\nTwo.") == 2 and shown.is_at_prompt)
        after = request_after(kept)[:-1]
    asked = [item for item in after if item.get("role") == "user"]
    assert asked == [item for item in before if item.get("role") == "user"]
    assert len(asked) == 2


def test_a_failed_retry_leaves_the_answer_that_was_there(
    tmp_path: Path, kept: dict[str, str]
) -> None:
    with simulator(tmp_path) as backend:
        env = {**backend.env, **kept}
        with screen("chat", "--raw", env=env) as shown:
            shown.wait(lambda: shown.is_at_prompt)
            shown.enter("[[say There.]]", "\nThere.")
            backend.stop(signal.SIGTERM)
            shown.enter("/retry", "the answer before is kept")
        transcript = run("history", "show", env=env).stdout
    assert transcript == "> [[say There.]]\n\nThere.\n"


def test_the_last_answer_is_copied_as_it_was_written(tmp_path: Path) -> None:
    program = tmp_path / "pbcopy"
    program.write_text(f'#!/bin/sh\nexec cat > "{tmp_path}/clipboard"\n')
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    with chat_screen(env={"PATH": path}) as shown:
        shown.enter("/copy", "there is no answer yet")
        shown.enter("[[say **One** more]]", "One")
        shown.enter("/copy", "copied, by pbcopy")
    assert (tmp_path / "clipboard").read_text() == "**One** more"


def test_a_new_chat_knows_nothing_of_the_last(kept: dict[str, str]) -> None:
    with chat_screen(env=kept) as shown:
        shown.enter("[[say One.]]", "One.")
        shown.enter("/new", "a new chat; the last one is")
        shown.enter("[[say Two.]]", "Two.")
    assert questions(kept) == ["[[say Two.]]"]
    assert run("history", "--demo", env=kept).stdout.count("\n") == 2


def test_a_chat_is_saved_to_a_new_file(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("old")
    with chat_screen(cwd=tmp_path) as shown:
        shown.enter("[[say One.]]", "One.")
        shown.enter("/save 'My talk.md'", "saved to My talk.md")
        shown.enter(r"/save My\ talk.md", "--force overwrites it")
        shown.enter("/save --force old.md", "saved to old.md")
        shown.enter("/save", "name one file")
        shown.enter("/save none/x.md", "no such folder")
    assert (tmp_path / "My talk.md").read_text() == "> [[say One.]]\n\nOne.\n"


def test_usage_help_and_instructions_are_shown() -> None:
    with chat_screen(height=60) as shown:
        shown.enter("[[say One.]]", "One.")
        shown.enter("/usage", "tokens in")
        assert "5-hour window" in shown.text
        shown.enter("/system Be kind.", "\nBe kind.")
        shown.enter("/system ''", "no instructions")
        shown.enter("/help", "Ctrl-C stops the answer")
        shown.type("/bye\r")
        assert shown.end() == 0


def test_an_unknown_command_reaches_no_model(kept: dict[str, str]) -> None:
    with chat_screen(env=kept) as shown:
        shown.enter("/modle x", "did you mean /model?")
        shown.enter("//modle [[say As text.]]", "\nAs text.")
    assert questions(kept) == ["/modle [[say As text.]]"]


# What goes wrong


def test_a_failure_is_one_line_and_the_question_is_not_lost() -> None:
    with chat_screen() as shown:
        shown.enter("[[status bad_gateway]] hello", "upstream_error")
        shown.type(UP)
        shown.wait(lambda: shown.lines[-1] == "> [[status bad_gateway]] hello")
        shown.type("\x15")
        shown.enter("[[say Fine.]]", "Fine.")


def test_a_backend_that_goes_away_does_not_end_the_chat(tmp_path: Path) -> None:
    with simulator(tmp_path) as backend:
        with screen("chat", env=backend.env) as shown:
            shown.wait(lambda: shown.is_at_prompt)
            shown.enter("[[say There.]]", "\nThere.")
            backend.stop(signal.SIGTERM)
            shown.enter("are you there?", "codexapi: ")
            shown.type("/usage\r")
            shown.wait(lambda: shown.text.count("codexapi: ") == 2 and shown.is_at_prompt)
            shown.type("\x04")
            assert shown.end() == 0


def test_ctrl_c_stops_an_answer_and_keeps_what_came(kept: dict[str, str]) -> None:
    with chat_screen("--raw", env=kept) as shown:
        shown.type("[[slow 600]] [[say Never.]]\r")
        shown.see("thinking")
        shown.type("\x03")
        shown.see("nothing came")
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("[[slow 0.05]] [[long 100000]]\r")
        shown.see("1 2 3")
        shown.type("\x03")
        shown.see("what came is kept")
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("\x04")
        assert shown.end() == 0
    (first,) = questions(kept)
    assert "long 100000" in first
    assert request_after(kept)[1]["content"][0]["text"].startswith("1 2 3")  # type: ignore[index]


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_ctrl_z_suspends_and_the_line_is_there_again(tmp_path: Path) -> None:
    bash = ["bash", "--norc", "-i"]
    with screen(program=bash, env={"PS1": "shell$ "}) as shown:
        shown.see("shell$")
        shown.type(" ".join(codexapi("chat", "--demo", "--raw")) + "\r")
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("half a line")
        shown.see("> half a line")
        shown.type("\x1a")
        shown.see("Stopped")
        shown.type("fg\r")
        shown.wait(lambda: shown.lines[-1] == "> half a line")
        shown.type("\x15[[slow 0.1]] [[long 40]]\r")
        shown.see("1 2 3")
        shown.type("\x1a")
        shown.wait(lambda: shown.text.count("Stopped") == 2)
        shown.type("echo typed\r")
        shown.see("\ntyped")
        shown.type("fg\r")
        shown.see("37 38")
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("\x04")
        shown.wait(lambda: shown.lines[-1].startswith("shell$"))
        shown.type("exit\r")
        assert shown.end() == 0


def test_a_resize_leaves_one_copy_of_the_line() -> None:
    with chat_screen(width=100) as shown:
        line = " ".join(f"word{n}" for n in range(20))
        shown.type(line)
        shown.see("word19")
        shown.resize(50, 40)
        shown.type("!")
        shown.see("word19!")
        assert shown.text.count("word7") == 1


# Terminals that can do little


def test_a_dumb_terminal_gets_plain_lines() -> None:
    with screen("chat", "--demo", env={"TERM": "dumb"}) as shown:
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("[[say one \\\n")
        shown.see("…")
        shown.type("two]]\n")
        shown.see("\none\ntwo")
        shown.type("\x04")
        assert shown.end() == 0
        assert b"\x1b" not in shown.output


def test_where_stdout_is_a_pipe_the_prompt_stays_out_of_it(tmp_path: Path) -> None:
    command = " ".join(codexapi("chat", "--demo")) + f" | tee {tmp_path / 'log'} > /dev/null"
    with screen(program=["sh", "-c", command]) as shown:
        shown.wait(lambda: shown.is_at_prompt)
        shown.type("[[say Logged.]]\n")
        shown.wait(lambda: shown.text.count("\n>") == 2)
        shown.type("\x04")
        assert shown.end() == 0
    assert (tmp_path / "log").read_text() == "Logged.\n"
