"""What the simulated backend says: the output items of an answer, as they are when done.

Everything it says is visibly simulated. Knows nothing of events: `stream.py` plays the items.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import JsonObject
from . import commands, prose, schema
from .asked import Asked, Tool
from .png import png, recoded

HELLO = (
    "Hello! This is the simulated Codex backend: no model read your words, "
    "and none of your quota was used."
)
BLOCKED = "Your request was rejected by the safety system."
MAX_EDGE = 3840
SUPPORTED_SIZES = ("1024x1024", "1024x1536", "1536x1024")

_GREETING = re.compile(r"(?i)\b(hello|hi|hey|greet\w*)\b")
_SEARCH = re.compile(r"(?i)\b(search|latest|news|current|today|look up)\b")
_DRAW = re.compile(r"(?i)\b(draw|paint|picture|image|illustrat\w*|sketch)\b")
_WORD = re.compile(r"[a-z]{3,}")
_COMMON = frozenset(
    {
        "get", "set", "the", "and", "for", "run", "use", "new", "all", "call", "tool", "function",
        "from", "with", "that", "this", "your", "you", "are", "can", "list", "name", "text", "make",
        "say", "send", "user", "what", "when", "where", "which", "will", "into", "out", "not",
    }
)  # fmt: skip
"""Words that tell nothing of a tool."""
_FENCE = "```json"
_QUOTED = 300
"""Characters of a prompt that are said back."""

_LONG_ID = 408
_LONG_CALL_ID = 83
"""Characters of the ids that clients report the real backend to have made, and then to refuse."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output item, and how it arrives."""

    item: JsonObject
    deltas: Sequence[str] | None = None  # as the text is cut; None: as a model would
    partials: Sequence[str] = ()  # of an image, base64


class Names:
    """The ids of one answer, and what is encrypted in it: the same answer has the same."""

    def __init__(self, run: int, encrypt: Callable[[str], str], *, long: bool = False) -> None:
        # set once
        self.encrypt = encrypt  # for the id of an item, its content
        self._run = run
        self._long = long
        # moves
        self._count = 0

    def new(self, prefix: str) -> str:
        self._count += 1
        name = f"{prefix}_simulated_{self._run:06d}_{self._count:02d}"
        if not self._long:
            return name
        return f"{name}_".ljust(_LONG_CALL_ID if prefix == "call" else _LONG_ID, "x")


def outputs(asked: Asked, names: Names) -> list[Output]:
    """The items of the answer, in order."""
    if asked.body.get("generate") is False:
        return []
    if asked.compacts:
        name = names.new("cmp")
        item = {"type": "compaction", "id": name, "encrypted_content": names.encrypt(name)}
        return [Output(item)]
    return [*_reasoning(asked, names), *_said(asked, names)]


def pixels(size: object, *, exact: bool = False, nearest: bool = True) -> tuple[int, int]:
    """The size that comes of the size asked for: it is normalised, unless `exact`."""
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(size or "auto"))
    if match is None:
        return 1024, 1024
    width, height = max(1, int(match[1])), max(1, int(match[2]))
    if match[0] in SUPPORTED_SIZES or (exact and max(width, height) <= MAX_EDGE):
        return width, height
    if not nearest:  # the image tool makes `auto` of what it does not know, and that is this
        return 1254, 1254
    if 0.8 < width / height < 1.25:
        return 1024, 1024
    return (1536, 1024) if width > height else (1024, 1536)


def search_result(query: str) -> str:
    """What a search finds."""
    return f"example.com: this search was simulated. You searched for: “{short(query)}”"


def short(text: str) -> str:
    """A prompt, short enough to be said back."""
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1].rstrip() + "…"


def _reasoning(asked: Asked, names: Names) -> Iterator[Output]:
    wanted = (asked.body.get("reasoning") or {}).get("summary")
    summary: list[str] = []
    if "reason" in asked.directions:
        summary = ["**Reading the prompt**\n\nIt is simulated.", "**Answering**\n\nSo is this."]
    elif wanted and wanted != "none":
        summary = ["**Reading the prompt**\n\nNo model does."]
    if asked.effort == "none" and not summary:
        return
    item: JsonObject = {
        "id": names.new("rs"),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
    }
    if "reasoning.encrypted_content" in (asked.body.get("include") or []):
        item["encrypted_content"] = names.encrypt(item["id"])
    yield Output(item)


def _said(asked: Asked, names: Names) -> Iterator[Output]:
    script = asked.directions
    if "commentary" in script:
        yield _message(names, "Let me see. (This is a simulated remark in passing.)", "commentary")
    scripted = next((play for name, play in _SCRIPTED.items() if name in script), None)
    if scripted is not None:
        yield from scripted(asked, names)
    else:
        yield from _natural(asked, names)
    if "two" in script:
        yield _message(names, "This is the second simulated message.")


def _natural(asked: Asked, names: Names) -> Iterator[Output]:
    calls = _calls(asked)
    if calls:
        yield from (play(asked, names) for play in calls)
        if any(play is _image for play in calls):
            yield _message(names, "")  # recorded: an empty message follows the image
        if any(play is _search for play in calls):
            yield _cited(asked, names)
        return
    yield _message(names, _text(asked))


def _text(asked: Asked) -> str:
    kind = asked.form.get("type")
    if kind == "json_schema":
        value = schema.example(asked.form.get("schema"), asked.prompt)
        return json.dumps(value, ensure_ascii=False)
    shape = prose.schema_in([asked.prompt, *asked.rules])
    if kind == "json_object":
        value = schema.example(shape, asked.prompt) if shape else {"answer": _plain(asked)}
        return json.dumps(value, ensure_ascii=False)
    if shape and any(_FENCE in text for text in (asked.prompt, *asked.rules)):
        value = schema.example(shape, asked.prompt)
        return f"{_FENCE}\n{json.dumps(value, ensure_ascii=False)}\n```"
    return _plain(asked)


def _plain(asked: Asked) -> str:
    if line := commands.command(asked.prompt, asked.rules):
        return line
    if asked.outputs:
        said = "\n".join(f"{tool} said: {output}" for tool, output in asked.outputs)
        return f"The simulated Codex backend heard from its tools.\n{said}"
    seen = _seen(asked)
    told = prose.ordered(asked.prompt) or (prose.on_sight(asked.rules) if asked.pictures else None)
    if told:
        return told
    if not seen and len(asked.prompt) < 80 and _GREETING.search(asked.prompt):
        return HELLO
    said = f"You said: “{short(asked.prompt)}”" if asked.prompt else "You said nothing."
    return " ".join(filter(None, ["Hello from the simulated Codex backend.", said, seen]))


def _seen(asked: Asked) -> str:
    told = []
    if asked.pictures:
        count = "one image" if len(asked.pictures) == 1 else f"{len(asked.pictures)} images"
        told.append(f"I see {count}, {', '.join(asked.pictures)}.")
    if asked.files:
        count = "one file" if len(asked.files) == 1 else f"{len(asked.files)} files"
        told.append(f"I see {count}, {', '.join(asked.files)}.")
    return " ".join(told)


def _message(
    names: Names, text: str, phase: str = "final_answer", deltas: Sequence[str] | None = None
) -> Output:
    part: JsonObject = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return Output(_message_item(names, part, phase), deltas)


def _message_item(names: Names, part: JsonObject, phase: str) -> JsonObject:
    return {
        "id": names.new("msg"),
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
        "phase": phase,
    }


def _say(asked: Asked, names: Names) -> Iterator[Output]:
    yield _message(names, asked.directions.text("say"))


def _long(asked: Asked, names: Names) -> Iterator[Output]:
    deltas = [f"{number} " for number in range(1, asked.directions.count("long") + 1)]
    yield _message(names, "".join(deltas), deltas=deltas)


def _surrogate(asked: Asked, names: Names) -> Iterator[Output]:
    deltas = ["A simulated smile: ", "\ud83d", "\ude42", "."]
    yield _message(names, "A simulated smile: 🙂.", deltas=deltas)


def _refuse(asked: Asked, names: Names) -> Iterator[Output]:
    text = asked.directions.text("refuse", "The simulated backend refuses to answer that.")
    part: JsonObject = {"type": "refusal", "refusal": text}
    yield Output(_message_item(names, part, "final_answer"))


def _incomplete(asked: Asked, names: Names) -> Iterator[Output]:
    yield _message(names, "Half a simulated ans")


def _tool_script(asked: Asked, names: Names) -> Iterator[Output]:
    if asked.outputs:
        yield _message(names, _text(asked))
        return
    for told in asked.directions.given["tool"]:
        name, _, arguments = told.partition(" ")
        tool = next((tool for tool in asked.tools if tool.name == name), None)
        yield _call(names, tool or _unknown(name), arguments.strip() or None, asked)


def _tools_script(asked: Asked, names: Names) -> Iterator[Output]:
    if asked.outputs:
        yield _message(names, _text(asked))
        return
    tool = _fitting(asked) or next(_callable(asked.tools), None) or _unknown("simulated_tool")
    for _ in range(asked.directions.count("tools")):
        yield _call(names, tool, None, asked)


# The first that stands in a prompt decides what is said.
_SCRIPTED: dict[str, Callable[[Asked, Names], Iterator[Output]]] = {
    "refuse": _refuse,
    "say": _say,
    "long": _long,
    "surrogate": _surrogate,
    "tool": _tool_script,
    "tools": _tools_script,
    "incomplete": _incomplete,
}

_Play = Callable[[Asked, Names], Output]


def _calls(asked: Asked) -> list[_Play]:
    """The tools to call for this prompt; none if it needs none."""
    choice = asked.body.get("tool_choice", "auto")
    if choice == "none" or not asked.tools:
        return []
    tool = _next(asked, choice) if asked.outputs else _chosen(asked, choice)
    if tool is None:
        return []
    if tool.kind in _HOSTED:
        return [_HOSTED[tool.kind]]
    found = prose.places(asked.prompt) if asked.parallel else []
    wanted = found if len(found) > 1 and tool.kind == "function" else [None]
    return [_calling(tool, place) for place in wanted]


def _calling(tool: Tool, place: str | None) -> _Play:
    return lambda asked, names: _call(names, tool, None, asked, place)


def _next(asked: Asked, choice: object) -> Tool | None:
    """After a call: a tool that the prompt names too, or one that must be called."""
    if isinstance(choice, dict) and choice.get("type") != "allowed_tools":
        return _chosen(asked, choice)
    called = {name for name, _ in asked.outputs}
    left = [tool for tool in asked.tools if tool.name not in called and tool.kind == "function"]
    demanded = next(_callable([*left, *asked.tools]), None) if choice == "required" else None
    return next(_named(asked, left), demanded)


def _chosen(asked: Asked, choice: object) -> Tool | None:
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        named = {part.get("name") or part.get("type") for part in choice.get("tools") or []}
        allowed = [tool for tool in asked.tools if tool.name in named]
        return _fitting(asked, allowed) or (allowed[0] if _demanded(choice) and allowed else None)
    if isinstance(choice, dict):
        named = {choice.get("name") or choice.get("type")}
        return next((tool for tool in asked.tools if tool.name in named), None)
    return _fitting(asked) or (next(_callable(asked.tools), None) if choice == "required" else None)


def _demanded(choice: JsonObject) -> bool:
    return choice.get("mode") == "required"


def _fitting(asked: Asked, among: Sequence[Tool] | None = None) -> Tool | None:
    """The tool whose name or description shares most words with the prompt; of several that it
    names, the first."""
    tools = asked.tools if among is None else among
    said = _words(asked.prompt)
    best = max(tools, key=lambda tool: _likeness(tool, said, asked), default=None)
    if best is None or _likeness(best, said, asked) <= 0:
        return None
    words = _name(best) & said
    if asked.pictures and not words and best.kind == "function":
        return None  # whoever shows a picture wants to hear of it
    others = [tool for tool in _named(asked, tools) if not _name(tool) & said <= words]
    return next(_named(asked, [best, *others]), best)


def _named(asked: Asked, tools: Sequence[Tool]) -> Iterator[Tool]:
    """Those of which a word stands in the prompt, in its order."""
    said = _words(asked.prompt)
    named = [tool for tool in tools if tool.kind == "function" and _name(tool) & said]
    prompt = asked.prompt.lower()
    return iter(sorted(named, key=lambda tool: min(map(prompt.index, _name(tool) & said))))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower())) - _COMMON


def _name(tool: Tool) -> set[str]:
    return _words(re.sub(r"([a-z])([A-Z])", r"\1 \2", tool.name).replace("_", " "))


def _likeness(tool: Tool, said: set[str], asked: Asked) -> int:
    if tool.kind not in _CALLED:
        return 0
    if tool.kind in _WANTED:
        return 2 if len(asked.tools) == 1 or _WANTED[tool.kind].search(asked.prompt) else 0
    # The first line only: the rest of a long description is about other things.
    about = {word for word in _words(tool.description.partition("\n")[0][:120]) if len(word) > 4}
    whole = 4 if tool.name.lower() in asked.prompt.lower() else 0
    return whole + 3 * len(_name(tool) & said) + len(about & said)


def _callable(tools: Sequence[Tool]) -> Iterator[Tool]:
    return (tool for tool in tools if tool.kind in _CALLED)


def _unknown(name: str) -> Tool:
    return Tool("function", name, None, "", {"type": "object"}, False, {})


def _call(
    names: Names, tool: Tool, told: str | None, asked: Asked, place: str | None = None
) -> Output:
    item: JsonObject = {"id": "", "type": "", "call_id": names.new("call"), "name": tool.name}
    if tool.namespace is not None:
        item["namespace"] = tool.namespace
    item["status"] = "completed"
    if tool.kind == "custom":
        item.update(id=names.new("ctc"), type="custom_tool_call", input=told or asked.prompt)
        return Output(item)
    heard = [said for _, said in asked.outputs]
    made = schema.example(tool.parameters, asked.prompt, optional=False, place=place, heard=heard)
    arguments = json.dumps(made, ensure_ascii=False) if told is None else told
    item.update(id=names.new("fc"), type="function_call", arguments=arguments)
    return Output(item)


def _search(asked: Asked, names: Names) -> Output:
    query = short(asked.prompt)
    return Output(
        {
            "id": names.new("ws"),
            "type": "web_search_call",
            "status": "completed",
            "action": {"type": "search", "query": query, "queries": [query]},
        }
    )


def _cited(asked: Asked, names: Names) -> Output:
    source = "example.com"
    text = f"According to {source}, this search was simulated. {_plain(asked)}"
    start = text.index(source)
    output = _message(names, text)
    output.item["content"][0]["annotations"] = [
        {
            "type": "url_citation",
            "start_index": start,
            "end_index": start + len(source),
            "title": "A simulated source",
            "url": "https://example.com/simulated",
        }
    ]
    return output


def _image(asked: Asked, names: Names) -> Output:
    tool = next(tool.given for tool in asked.tools if tool.kind == "image_generation")
    width, height = pixels(tool.get("size"), exact="exact" in asked.directions, nearest=False)
    item: JsonObject = {
        "id": names.new("ig"),
        "type": "image_generation_call",
        "status": "generating",  # recorded: it still says so when it is done
        "action": tool.get("action") if tool.get("action") in ("generate", "edit") else "generate",
        "background": "opaque",
        "output_format": tool.get("output_format") or "png",
        "quality": "medium",
        "size": f"{width}x{height}",
        "revised_prompt": short(asked.prompt),
    }
    if "blocked" in asked.directions:
        error = {"code": "moderation_blocked", "message": BLOCKED}
        return Output({**item, "status": "failed", "error": error})
    drawn = list(_drawn(asked, width, height, item["output_format"], tool.get("partial_images")))
    return Output({**item, "result": drawn[-1]}, partials=drawn[:-1])


def _drawn(asked: Asked, width: int, height: int, kind: str, partials: object) -> Iterator[str]:
    """The partial pictures, and the whole one at the end."""
    count = int(str(partials or 0))
    for step in range(1, count + 2):
        last = step == count + 1
        image = png(
            width,
            height,
            asked.prompt,
            done=step / (count + 1),
            ballast=asked.directions.count("heavy") << 20 if last else 0,
        )
        yield base64.b64encode(recoded(image, kind)).decode()


_HOSTED: dict[str, _Play] = {"web_search": _search, "image_generation": _image}
_CALLED = frozenset({"function", "custom", *_HOSTED})
_WANTED = {"web_search": _SEARCH, "image_generation": _DRAW}
