"""The pages of `docs/`, in their order: the contents of `docs/README.md` and the site follow.

A page that is listed and not there yet is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
START, USE, REFERENCE, UNDERSTAND, DEVELOP = SECTIONS = (
    "Start", "Use it", "Look it up", "Understand it", "Change it",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Page:
    file: str
    title: str
    section: str
    about: str


PAGES = (
    Page("install.md", "Install", START, "uv, pipx, a virtual environment, a container; upgrade; remove everything"),
    Page("platforms.md", "Platforms", START, "what was tried on Linux, macOS and Windows, and what differs"),
    Page("login.md", "First login", START, "with a browser, without one, and on another machine"),
    Page("faq.md", "Questions", START, "may I, can I, how do I: short answers"),
    Page("clients.md", "Clients", USE, "every program that `codexapi setup` knows, and any other"),
    Page("editors.md", "Editors, over MCP", USE, "every program that `codexapi mcp install` knows, and the tools"),
    Page("shell.md", "The shell", USE, "chats, pipes, attachments, shell commands, history"),
    Page("pictures.md", "Pictures", USE, "draw and edit, in the shell and over HTTP"),
    Page("recipes.md", "Recipes", USE, "tools, structured output, vision, PDF, streams, audio, batches, git hooks"),
    Page("page.md", "The page", USE, "what the server shows in a browser: state, limits, requests, try it"),
    Page("programs.md", "Keys and requests", USE, "which program asked for what, and a key for each"),
    Page("simulator.md", "The simulated backend", USE, "test your own program without a login"),
    Page("recording.md", "Recordings", USE, "record the exchanges with the backend, to report a problem, and play them back"),
    Page("testing.md", "Tests of your own", USE, "codexapi in the tests of your program"),
    Page("troubleshooting.md", "Troubleshooting", REFERENCE, "by what you see, by exit code, by error code"),
    Page("commands.md", "Commands", REFERENCE, "every command and option"),
    Page("settings.md", "Settings", REFERENCE, "every flag of `serve` and every variable"),
    Page("compatibility.md", "Compatibility", REFERENCE, "every endpoint and field of OpenAI's, Anthropic's and Ollama's APIs"),
    Page("limits.md", "Limits and costs", REFERENCE, "what a request costs of your plan, and how large it may be"),
    Page("api.md", "Python API", REFERENCE, "the engine as a library"),
    Page("how-it-works.md", "How it works", UNDERSTAND, "the backend, the login, and what is shared with the official client"),
    Page("SECURITY.md", "Security and privacy", UNDERSTAND, "what is guarded against whom, and how to report a fault"),
    Page("comparison.md", "Comparison", UNDERSTAND, "each command beside gh, uv, llm, ollama and aichat"),
    Page("performance.md", "Performance", UNDERSTAND, "what it adds, what it takes of your machine, how to measure it"),
    Page("promises.md", "Promises", UNDERSTAND, "what is never lost, and which test holds it"),
    Page("ARCHITECTURE.md", "Architecture", DEVELOP, "layers, glossary, the way of a request, where to change what"),
    Page("CONTRIBUTING.md", "Contributing", DEVELOP, "the gate, the rules, commits and dependencies"),
    Page("backend.md", "The backend", DEVELOP, "what is known of it, and how a change is noticed"),
    Page("benchmarks.md", "Benchmarks", DEVELOP, "every row beside other programs, and where the time goes"),
    Page("decisions.md", "Decisions", DEVELOP, "why things are as they are"),
    Page("RELEASE.md", "Release", DEVELOP, "the checklist of a version"),
)  # fmt: skip


def existing(section: str) -> Iterator[Page]:
    return (page for page in PAGES if page.section == section and (FOLDER / page.file).exists())
