"""`codexapi chat` through pipes: what goes in, what comes out, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests import forks
from tests.cli.shell import PATIENCE, plain, run
from tests.drawn import picture
from tests.faulty import HOLD, FaultyBackend, chunk, head
from tests.logins import auth_json, write_login
from tests.processes import codexapi, environment

from codexapi_engine.protocol import sse
from codexapi_engine.simulator.backend import catalogue

NEVER = 4_000_000_000.0
"""An expiry that no test lives to see."""

PDF = b"%PDF-1.4\n1 0 obj (A page) Tj\n"


def asked(*arguments: str, stdin: bytes | None = None) -> dict[str, Any]:
    """The body of the request that would be sent."""
    done = run("chat", "--dry-run", "-m", "some-model", *arguments, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    body: dict[str, Any] = json.loads(done.stdout)["body"]
    return body


def parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = body["input"][-1]["content"]
    return content


@pytest.mark.parametrize(
    ("words", "stdin", "text"),
    [
        (("why",), None, "why"),
        (("why", "so"), None, "why so"),
        (("why",), b"", "why"),
        (("why",), b" \n", "why"),
        ((), b"from stdin\n", "from stdin\n"),
        (("-",), b"from stdin", "from stdin"),
        (("why",), b"a line\n", "why\n\n<stdin>\na line\n</stdin>"),
        (("why",), b"no newline", "why\n\n<stdin>\nno newline\n</stdin>"),
        (("why",), b"\xef\xbb\xbfa BOM\n", "why\n\n<stdin>\na BOM\n</stdin>"),
        (("--no-stdin", "why"), b"ignored", "why"),
    ],
)
def test_the_question_is_the_words_and_what_is_piped_in(
    words: tuple[str, ...], stdin: bytes | None, text: str
) -> None:
    assert parts(asked(*words, stdin=stdin)) == [{"type": "input_text", "text": text}]


def test_a_file_on_stdin_is_read_as_a_pipe_is(tmp_path: Path) -> None:
    path = tmp_path / "question"
    path.write_text("from a file")
    with path.open() as file:
        done = forks.run(
            codexapi("chat", "--dry-run", "-m", "m"), env=environment(), stdin=file,
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        )  # fmt: skip
    assert parts(json.loads(done.stdout)["body"])[0]["text"] == "from a file"


def test_an_idle_pipe_is_told_of_and_waited_for() -> None:
    process = forks.Popen(
        codexapi("chat", "--demo"), env=environment(), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "codexapi: waiting for stdin; --no-stdin does without\n"
        answer, rest = process.communicate("[[say Late.]]", timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, answer, rest) == (0, "Late.\n", "")


def test_what_is_piped_in_may_be_a_picture() -> None:
    body = asked("what", stdin=picture())
    assert [part["type"] for part in parts(body)] == ["input_text", "input_image"]


def test_what_is_piped_in_and_is_neither_text_nor_a_picture_is_refused() -> None:
    done = run("chat", "--demo", "what", stdin=b"\xff\xfe\x00binary")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("codexapi: stdin: neither UTF-8 text")


def test_attachments_go_by_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(picture())  # its name lies
    (tmp_path / "b.bin").write_bytes(PDF)
    (tmp_path / "c").write_text("a text")
    given = [argument for name in ("a.txt", "b.bin", "c") for argument in ("-a", tmp_path / name)]
    body = asked("look", *map(str, given), "-a", "https://example.org/x.png")
    text, drawn, distant, file = parts(body)
    assert text["text"] == 'look\n\n<file name="c">\na text\n</file>'
    assert drawn["image_url"].startswith("data:image/png;base64,")
    assert distant == {"type": "input_image", "image_url": "https://example.org/x.png"}
    assert (file["type"], file["filename"]) == ("input_file", "b.bin")


@pytest.mark.parametrize("command", [("chat", "--demo", "x", "-a"), ("image", "--demo", "x", "-i")])
@pytest.mark.parametrize("name", ["codex/.auth.json.codexapi-1.tmp", "hard", "symbolic"])
def test_the_login_goes_along_with_nothing(
    tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    (tmp_path / "codex").mkdir()
    for login in ("auth.json", ".auth.json.codexapi-1.tmp"):
        (tmp_path / "codex" / login).write_bytes(picture())
    (tmp_path / "hard").hardlink_to(tmp_path / "codex" / "auth.json")
    (tmp_path / "symbolic").symlink_to(tmp_path / "codex" / "auth.json")
    done = run(*command, str(tmp_path / name), env={"CODEX_HOME": str(tmp_path / "codex")})
    assert done.returncode != 0
    assert "a part of your login, which goes to no model" in done.stderr


def test_half_an_address_is_a_usage_error() -> None:
    done = run("chat", "--demo", "look", "-a", "https://[::1/x.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "codexapi: --attach https://[::1/x.png: expected a file, or an https address\n"
    )


def test_an_attachment_may_stand_on_stdin() -> None:
    body = asked("-a", "-", "what", stdin=PDF)
    assert [part["type"] for part in parts(body)] == ["input_text", "input_file"]


def test_a_picture_alone_is_a_question(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture())
    assert [part["type"] for part in parts(asked("-a", str(tmp_path / "a.png")))] == ["input_image"]


def test_a_folder_is_its_texts_without_what_is_hidden_or_generated(tmp_path: Path) -> None:
    names = ["b.py", "a/deep.md", ".env", ".git/config", "node_modules/x.js", "__pycache__/y.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"text of {name}\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    (tmp_path / "link.txt").symlink_to(tmp_path / ".env")
    text = parts(asked("read", "-f", str(tmp_path)))[0]["text"]
    assert text == "\n\n".join(
        [
            "read",
            f"{tmp_path}/b.py\n```py\ntext of b.py\n```",
            f"{tmp_path}/a/deep.md\n```md\ntext of a/deep.md\n```",
        ]
    )


def test_files_go_into_the_question_in_fences_that_they_cannot_close(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("```py\n1\n```\n")
    assert parts(asked("read", "-f", str(path)))[0]["text"] == (
        f"read\n\n{path}\n````md\n```py\n1\n```\n````"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-a", "none.png"), 7, "none.png: No such file"),
        (("-f", "none.txt"), 7, "none.txt: No such file"),
        (("-f", "https://example.com/x"), 2, "--attach takes an address"),
        (("-s", "@none.txt"), 7, "none.txt: No such file"),
        (("-a", "ftp://example.org/a.png"), 2, "https address"),
        (("-a", "-"), 2, "nothing on stdin"),
        (("-o", "none/out.txt"), 7, "there is no such folder"),
        (("-o", "."), 7, "it is a folder"),
        (("--schema", "1x"), 2, "is no field"),
        (("--schema", "{nonsense"), 2, "it is not JSON"),
        (("--schema", "none.json"), 7, "No such file"),
        (("--schema", "~no-such-user/none.json"), 7, "No such file"),
        (("--json", "-x"), 2, "do not go together"),
        (("--json", "--stream-json"), 2, "do not go together"),
        (("--raw", "--md"), 2, "do not go together"),
        (("-c", "--cid", "1"), 2, "do not go together"),
        (("-i",), 2, "stdin is no terminal"),
    ],
)
def test_what_is_wrong_here_is_found_before_anything_is_asked(
    arguments: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    done = forks.run(
        codexapi("chat", "--demo", "hi", *arguments), env=environment(), cwd=tmp_path,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_dry_run_needs_no_login_and_shows_no_secret(tmp_path: Path) -> None:
    write_login(tmp_path, auth_json(exp=NEVER))
    done = run("chat", "--dry-run", "-m", "m", "hi", env={"CODEX_HOME": str(tmp_path)})
    told = json.loads(done.stdout)
    assert told["url"] == "https://chatgpt.com/backend-api/codex/responses"
    assert told["headers"]["authorization"] == "Bearer (left out)"
    assert told["body"]["prompt_cache_key"] == told["headers"]["session-id"]
    assert "canary" not in done.stdout


def test_options_become_fields_of_the_request(tmp_path: Path) -> None:
    (tmp_path / "system").write_text("Be brief.")
    body = asked(
        "-s", f"@{tmp_path / 'system'}", "-e", "high", "--show-reasoning", "--search",
        "--schema", "name, age int: in years", "hi",
    )  # fmt: skip
    assert body["instructions"] == "Be brief."
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["tools"] == [{"type": "web_search", "external_web_access": True}]
    form = body["text"]["format"]
    assert form["strict"] is True
    assert form["schema"]["properties"]["age"] == {"type": "integer", "description": "in years"}


@pytest.mark.parametrize(
    "arguments",
    [("-m", "gpt-5.5", "--effort", "max"), ("-m", "gpt-5.5:max"), ("-m", "gpt-5.5", "-e", "none")],
)
def test_an_effort_that_the_model_lacks_is_the_nearest_and_a_note(
    arguments: tuple[str, ...],
) -> None:
    done = run("chat", "--demo", *arguments, "[[say Hello.]]")
    assert (done.returncode, done.stdout) == (0, "Hello.\n"), done.stderr
    assert done.stderr == "codexapi: gpt-5.5 has no such effort: the nearest is used\n"


@pytest.mark.parametrize("arguments", [("-e", "ultra"), ("-m", "gpt-6.2-sol:ultra")])
def test_an_effort_that_models_lists_is_taken_without_a_note(arguments: tuple[str, ...]) -> None:
    done = run("chat", "--demo", *arguments, "[[say Hello.]]")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Hello.\n", "")


def test_json_is_one_object_about_the_answer() -> None:
    done = run("chat", "--demo", "--json", "[[say Hello.]]")
    told = json.loads(done.stdout)
    assert list(told) == [
        "id", "text", "model", "finish_reason", "refusal", "usage", "citations", "cid",
    ]  # fmt: skip
    model = catalogue()[0]["slug"]
    assert (told["text"], told["model"], told["finish_reason"]) == ("Hello.", model, "stop")
    assert told["usage"]["output_tokens"] > 0


def test_json_of_a_schema_is_parsed_too() -> None:
    done = run("chat", "--demo", "--json", "--schema", "name, age int", "someone")
    parsed = json.loads(done.stdout)["parsed"]
    assert set(parsed) == {"name", "age"}
    assert isinstance(parsed["age"], int)


def test_json_of_an_incomplete_answer_says_so() -> None:
    done = run("chat", "--demo", "--json", "[[incomplete]]")
    assert json.loads(done.stdout)["finish_reason"] == "length"
    assert "incomplete (max_output_tokens)" in done.stderr


def test_the_sources_of_a_search_are_told() -> None:
    told = json.loads(run("chat", "--demo", "--json", "--search", "latest news").stdout)
    assert told["citations"] == ["https://example.com/simulated"]


def test_stream_json_is_an_object_a_line_and_ends_with_the_whole() -> None:
    done = run("chat", "--demo", "--stream-json", "--show-reasoning", "[[reason]] [[say A b.]]")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert {line["type"] for line in told} == {"reasoning", "text", "done"}
    assert "".join(line["text"] for line in told if line["type"] == "text") == "A b."
    assert (told[-1]["type"], told[-1]["text"]) == ("done", "A b.")
    assert done.stderr == ""


@pytest.mark.parametrize("option", ["--json", "--stream-json"])
@pytest.mark.parametrize(
    ("script", "exit_code", "code"),
    [
        ("[[fail server_error]]", 1, "server_error"),
        ("[[status usage_limit_reached]]", 4, "usage_limit_reached"),
        ("[[cut 2]]", 5, "upstream_disconnected"),
    ],
)
def test_with_json_an_error_is_one_object_on_stderr(
    option: str, script: str, exit_code: int, code: str
) -> None:
    done = run("chat", "--demo", option, f"[[long 3]] {script}")
    assert done.returncode == exit_code
    assert done.stdout == "" or option == "--stream-json"
    assert json.loads(done.stderr)["error"]["code"] == code


def test_with_json_a_wrong_command_line_is_one_object_too() -> None:
    done = run("chat", "--demo", "--json", "-a", "none", "hi")
    assert (done.returncode, done.stdout) == (7, "")
    assert json.loads(done.stderr)["error"]["code"] == "local_file"


def test_extract_prints_the_first_fenced_block_alone() -> None:
    script = "[[say Look:\n\n```sh\nls\npwd\n```\n\n```\nno\n```]]"
    assert run("chat", "--demo", "-x", script).stdout == "ls\npwd\n"


def test_extract_without_a_block_prints_all_and_says_so() -> None:
    done = run("chat", "--demo", "-x", "[[say No block.]]")
    assert (done.returncode, done.stdout) == (0, "No block.\n")
    assert "no fenced block" in done.stderr


def test_output_is_a_file_that_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before")
    done = run("chat", "--demo", "-o", str(path), "[[long 3]] [[cut 2]]")
    assert (done.returncode, done.stdout, path.read_text()) == (5, "", "before")
    done = run("chat", "--demo", "-o", str(path), "[[say After.]]")
    assert (done.returncode, done.stdout, path.read_text()) == (0, "", "After.\n")
    assert [found.name for found in tmp_path.iterdir()] == ["out.txt"]


def test_output_to_a_dash_is_stdout() -> None:
    assert run("chat", "--demo", "-o", "-", "[[say Hello.]]").stdout == "Hello.\n"


def test_reasoning_summaries_stand_on_stderr_undimmed_in_a_pipe() -> None:
    done = run("chat", "--demo", "--show-reasoning", "[[reason]] [[say Hello.]]")
    assert done.stdout == "Hello.\n"
    assert done.stderr == (
        "**Reading the prompt**\n\nIt is simulated.\n\n**Answering**\n\nSo is this.\n\n"
    )


def test_a_question_without_a_command_is_asked() -> None:
    done = run("[[say Hello.]] please", "--demo")
    assert (done.returncode, done.stdout) == (0, "Hello.\n")


@pytest.mark.parametrize(
    ("word", "hint"), [("imge", "did you mean image?"), ("xyzzy", "`codexapi --help` lists them")]
)
def test_a_single_unknown_word_is_asked_of_nobody(word: str, hint: str) -> None:
    done = run(word, "--demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"codexapi: there is no command {word}")
    assert hint in done.stderr


def test_md_draws_markdown_in_a_pipe_too() -> None:
    done = run("chat", "--demo", "--md", "[[say # Title\n\n* point]]", env={"NO_COLOR": "1"})
    assert [line.strip() for line in plain(done.stdout).splitlines()] == ["Title", "", "• point"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
@pytest.mark.parametrize("option", [(), ("--json",)], ids=["text", "json"])
async def test_a_signal_keeps_what_was_said_and_cancels_the_backend(
    number: int, code: int, option: tuple[str, ...], tmp_path: Path
) -> None:
    """The connection is seen to close while the process is still being waited for."""
    write_login(tmp_path, auth_json(exp=NEVER))
    began = chunk(sse.encode({"type": "response.created", "response": {"id": "resp_1"}}))
    said = chunk(
        sse.encode(
            {
                "type": "response.output_text.delta", "output_index": 0, "content_index": 0,
                "delta": "Partly",
            }
        )
    )  # fmt: skip
    async with FaultyBackend([head(), began, said, HOLD]) as backend:
        process = await forks.execute(
            *codexapi("chat", "-m", "m", *option, "hi"),
            env=environment(CODEX_HOME=str(tmp_path), CODEXAPI_BASE_URL=backend.url),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            if option:
                await backend.until(lambda: bool(backend.requests))
                first = b""
            else:
                first = await process.stdout.readexactly(len(b"Partly"))
            process.send_signal(number)
            rest, complaint = await process.communicate()
            await backend.until(lambda: not backend.open)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == code
    assert first + rest == (b"" if option else b"Partly\n")
    assert complaint == b""
