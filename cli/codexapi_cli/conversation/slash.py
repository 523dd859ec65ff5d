"""The slash commands of an interactive chat: their table, and their parser."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches

COMMANDS = {
    "model": ("[NAME]", "list the models, or go on with another one"),
    "effort": ("[LEVEL]", "list the reasoning efforts, or set one"),
    "system": ("[TEXT|@FILE]", "show the instructions, or set them; '' removes them"),
    "attach": ("FILE…", "pictures, PDFs, texts or URLs for the next question"),
    "image": ("PROMPT", "draw a picture, save it here, and show it to the model"),
    "usage": ("", "how much of your plan is used, and the tokens of this chat"),
    "undo": ("", "take the last turn back, in the history too"),
    "retry": ("", "ask the last question again, and replace its answer"),
    "copy": ("", "copy the last answer to the clipboard, as Markdown"),
    "new": ("", "start a new chat"),
    "save": ("FILE", "write this chat to a new file, as Markdown; --force overwrites"),
    "help": ("", "list the commands and keys"),
    "bye": ("", "leave; /exit and Ctrl-D do so too"),
}
"""By name: its argument, and what it does."""

WITHOUT_ARGUMENT = frozenset(name for name, (argument, _) in COMMANDS.items() if not argument)

TEXTS = frozenset({"system", "image"})
"""Those whose argument may have several lines."""

ALIASES = {"exit": "bye", "quit": "bye", "clear": "new", "regenerate": "retry", "?": "help"}

KEYS = """\
Enter sends; Alt-Enter, Ctrl-J or a \\ at the end of a line begins another line. A text between \"\"\"
and \"\"\" may have several lines, and what is pasted stays one question.

Tab completes commands, models, efforts and files. Up and Ctrl-R find earlier questions; Ctrl-X Ctrl-E
opens an editor. Ctrl-C stops the answer, or clears the line. // begins a question with a slash."""

_NAME = re.compile(r"/([A-Za-z][\w-]*|\?)?(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SlashCommand:
    name: str  # of `COMMANDS`
    argument: str


@dataclass(frozen=True, slots=True)
class UnknownCommand:
    name: str

    def __str__(self) -> str:
        if not self.name:
            return f"the commands are {' '.join(f'/{name}' for name in COMMANDS)}"
        near = get_close_matches(self.name.lower(), [*COMMANDS, *ALIASES], n=1)
        meant = f"; did you mean /{near[0]}?" if near else ":"
        names = " ".join(f"/{name}" for name in COMMANDS)
        return f"there is no command /{self.name}{meant} {names} (//{self.name} sends it as text)"


def parse(line: str, *, is_paste: bool = False) -> SlashCommand | UnknownCommand | str:
    """A command, or the text of a question.

    A text that was pasted in several lines is a question, whatever it begins with; so is one that
    begins with a path.
    """
    text = line.strip()
    several = "\n" in line
    if not text.startswith("/") or (several and is_paste):
        return line
    if text.startswith("//"):
        match = _NAME.fullmatch(text[1:])
        return text[1:] if match and match[1] and not several else line
    match = _NAME.fullmatch(text)
    if match is None or (match[1] is None and match[2]):
        return line
    name = (match[1] or "").lower()
    name = ALIASES.get(name, name)
    if name in COMMANDS and (name in TEXTS or not several):
        return SlashCommand(name, (match[2] or "").strip())
    if several or (name and os.path.lexists(f"/{match[1]}")):
        return line
    return UnknownCommand(match[1] or "")


def help_text(columns: int) -> str:
    from ..terminal.wrapping import table, wrap  # seldom wanted

    rows = [(f"/{name} {argument}".rstrip(), text) for name, (argument, text) in COMMANDS.items()]
    keys = [wrap(paragraph, columns) for paragraph in KEYS.split("\n\n")]
    return "\n".join([*table(rows, columns, indent=0), "", *keys])
