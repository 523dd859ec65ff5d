"""What a newcomer asks, and where the README and the pages answer it: two clicks away at most."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+\.md)(?:#[^)]*)?\)")

QUESTIONS = {
    "What is it?": ("README.md", "A local server that speaks OpenAI's"),
    "Is it OpenAI's?": ("README.md", "not affiliated with or endorsed by OpenAI"),
    "What does a call cost?": ("docs/limits.md", "counts against your own plan"),
    "May my team use it?": ("docs/faq.md", "One login is one person's"),
    "May I run it in CI?": ("docs/faq.md", "OpenAI recommends API keys"),
    "May I use two accounts?": ("docs/faq.md", "never pools or"),
    "How do I install it with uv?": ("docs/install.md", "uv tool install ."),
    "How do I log in over SSH?": ("docs/login.md", "codex login --device-auth"),
    "May I copy auth.json?": ("docs/login.md", "the same login in two places"),
    "How do I upgrade under pipx?": ("docs/install.md", "pipx install --force ."),
    "How do I remove all of it?": ("docs/install.md", "All that may be left"),
    "How do I run it in Docker?": (
        "docs/install.md",
        "docker compose -f docs/container/compose.yaml up --build",
    ),
    "How does it start when I log in?": ("docs/settings.md", "codexapi service print"),
    "How do I point Zed at it?": ("docs/clients.md", "| `zed` |"),
    "How do I point Home Assistant at it?": ("docs/clients.md", "| `home-assistant` |"),
    "Does Cursor work?": ("docs/faq.md", "it asks from its own servers"),
    "How does VS Code get the MCP server?": ("docs/editors.md", "| `vscode` |"),
    "What does 421 mean?": ("docs/troubleshooting.md", "421 `host_not_allowed`"),
    "What does refresh_token_reused mean?": (
        "docs/troubleshooting.md",
        "| `refresh_token_reused` |",
    ),
    "What does a 502 mean?": ("docs/troubleshooting.md", "| 502, 504 | the backend, and the way"),
    "What does exit code 4 mean?": ("docs/troubleshooting.md", "| `4` | the limit of the plan"),
    "Why is gpt-4o a 404?": ("docs/clients.md", "--model-alias gpt-4o="),
    "Is temperature heeded?": ("docs/faq.md", "the backend refuses it"),
    "Are there embeddings?": ("docs/faq.md", "`/v1/embeddings` is a 404 `not_found`"),
    "Can I use an API key?": ("docs/faq.md", "a program that has an API key needs no codexapi"),
    "Where is the log?": ("docs/install.md", "the log of `serve --detach`"),
    "How large may a request be?": ("docs/limits.md", "| one request, as JSON |"),
    "How do I change the port?": ("docs/settings.md", "`--port PORT`"),
    "What leaves my machine?": ("docs/faq.md", "no telemetry"),
    "How do I call tools?": ("docs/recipes.md", "Tools: the loop"),
    "How do I test without a login?": ("docs/simulator.md", "It needs no login"),
    "What must my machine have?": ("README.md", "Python 3.11, 3.12 or 3.13, and for real answers"),
    "Which plan do I need?": ("docs/faq.md", "Any ChatGPT plan with Codex"),
    "Is it free?": ("docs/faq.md", "each call counts against that plan"),
    "Where do I clone it from?": ("docs/install.md", "`git remote get-url origin` says where"),
    "Is it on the package index?": ("docs/install.md", "Once it is published on the package index"),
    "My Python is too old?": ("docs/install.md", "| uv | `uv tool install --python 3.13 .`"),
    "Is Python 3.14 refused?": ("docs/install.md", "3.14 is not refused and not tried"),
    "Which Python does pipx take?": ("docs/install.md", "pipx install --python python3.13 ."),
    "What is codexapi-kit?": ("docs/install.md", "a second command, `codexapi-kit`"),
    "Are my dependencies pinned?": ("docs/install.md", "the newest dependencies that fit"),
    "May five people have one each?": ("docs/faq.md", "Each person of a team can have a codexapi"),
    "What changed its meaning?": ("docs/install.md", 'has under "Changed" what means something'),
    "How do I upgrade under uvx?": ("docs/install.md", "uvx --no-cache --from . codexapi"),
    "How do I go back a version?": ("docs/install.md", "get the older version into the folder"),
    "Which clients did I set up?": (
        "docs/install.md",
        "lists the clients and says which are set up",
    ),
    "What of an entry in a project?": ("docs/install.md", "uninstall cursor --scope project"),
    "What are the backups called?": ("docs/install.md", "`FILE.codexapi-….bak`"),
    "Can Home Assistant send a key?": ("docs/clients.md", "Home Assistant has a field for the key"),
    "A program that sends no key?": ("docs/faq.md", "that can send none"),
    "In the LAN without a VPN?": ("docs/faq.md", "codexapi starts so without a VPN too"),
    "How is an editor read-only?": ("docs/editors.md", "`codexapi mcp install CLIENT --read-only`"),
    "Which tools write files?": (
        "docs/editors.md",
        "`generate_image` and `edit_image`, which write",
    ),
    "What if an answer stops?": ("docs/troubleshooting.md", "an answer stops in the middle"),
    "Is my client in a recording?": ("docs/recording.md", "your program and codexapi sent to each"),
    "How large is a mask?": ("docs/pictures.md", "as large as the first picture, transparent"),
    "Is a mask heeded?": ("docs/pictures.md", "mask has not been seen"),
    "How do I keep no chats?": ("docs/SECURITY.md", "`CODEXAPI_NO_LOG=1` keeps none"),
    "Is a response stored?": ("docs/SECURITY.md", 'unless the request says `"store": false`'),
    "Who reads the state folder?": ("docs/install.md", "nobody but you and root looks into it"),
    "May my CI use --demo?": ("docs/faq.md", "use no login and no plan, so they may run anywhere"),
    "How does a Go program test?": (
        "docs/testing.md",
        "is the same server as a process, in any CI",
    ),
    "Is it fast?": ("docs/faq.md", "[Performance](performance.md) has it measured"),
    "Whom do I tell with an archive?": ("docs/faq.md", "An archive names nobody"),
    "How do I install it on Windows?": ("docs/install.md", "py -m venv .venv"),
    "How do I install a wheel?": ("docs/install.md", "pipx install ./codexapi_kit-"),
    "How do I start the container?": ("docs/install.md", "docker run --detach --name codexapi"),
    "How do I remove the container?": ("docs/install.md", "`docker volume rm codexapi-state`"),
    "How do I start and stop it?": ("README.md", "`codexapi stop` ends it"),
    "May I try it without a login?": ("docs/faq.md", "`codexapi serve --demo` serves them"),
    "Does it work offline?": ("docs/faq.md", "The models run at OpenAI"),
    "May my phone use it?": ("docs/faq.md", "For your own devices only. By an SSH tunnel"),
    "How do I ask it by curl?": ("docs/clients.md", "curl -s http://127.0.0.1:18080/v1/chat"),
    "How do I point the AI SDK at it?": ("docs/recipes.md", "createOpenAI({ baseURL:"),
    "How do I point LangChain at it?": ("docs/clients.md", "| `langchain` |"),
    "What is left of my plan?": ("docs/limits.md", "how much of each window is used"),
    "Who used it up?": ("docs/limits.md", "which program used it up"),
    "How do I give a program a key?": ("docs/programs.md", "codexapi keys add editor"),
    "Where does my token go?": ("docs/faq.md", "To `https://chatgpt.com/backend-api/codex`, and"),
    "Where are my chats?": ("docs/install.md", "the state folder: history"),
    "What does exit code 8 mean?": ("docs/troubleshooting.md", "Stop the other server, or take"),
    "What does exit code 3 mean?": ("docs/troubleshooting.md", "| `3` | there is no login"),
    "What does a 401 mean?": ("docs/troubleshooting.md", "| 401 | the login, or the key"),
    "What does a 429 mean?": ("docs/troubleshooting.md", "| 429 `usage_limit_reached` |"),
    "What does a 499 mean?": ("docs/troubleshooting.md", "you stopped the request, or its client"),
    "What does a 529 mean?": ("docs/troubleshooting.md", "over Anthropic's API 529"),
    "How do I write down what is said?": ("docs/recipes.md", "the text of an audio file (25 MiB"),
    "How do I turn the page off?": ("docs/settings.md", "`--page`, `--no-page`"),
    "How do I send you what failed?": ("docs/recording.md", "Attach the one that shows the fault"),
    "Where do I report a fault?": ("docs/faq.md", "Where your copy came from"),
}


def _clicks() -> dict[Path, int]:
    """How many links lead from the README to each page."""
    found, pages = {README: 0}, [README]
    for page in pages:
        for target in LINK.findall(page.read_text("utf-8")):
            place = (page.parent / target).resolve()
            if place not in found:
                found[place] = found[page] + 1
                pages.append(place)
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_its_answer_two_clicks_away(question: str) -> None:
    page, answer = QUESTIONS[question]
    assert " ".join(answer.split()) in " ".join((ROOT / page).read_text("utf-8").split())
    assert _clicks()[ROOT / page] <= 2
