"""Makes the output items of a simulated response, as they are when done.

All texts are visibly simulated. `stream.py` makes the events of them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import JsonObject
from . import commands, prose, schema
from .model_request import ModelRequest, Tool
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
"""Words that do not identify a tool."""
_FEW = 8
"""Of more tools, as an agent has them, none is called for a single word of its description."""
_FENCE = "```json"
_JSON_ALONE = "respond with a JSON object"
_QUOTED = 300
"""Characters of a prompt that are repeated."""

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


def outputs(request: ModelRequest, names: Names) -> list[Output]:
    """The items of the answer, in order."""
    if request.body.get("generate") is False:
        return []
    if request.compacts:
        name = names.new("cmp")
        item = {"type": "compaction", "id": name, "encrypted_content": names.encrypt(name)}
        return [Output(item)]
    return [*_reasoning(request, names), *_messages(request, names)]


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
    """A prompt, short enough to be repeated."""
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1].rstrip() + "…"


def _reasoning(request: ModelRequest, names: Names) -> Iterator[Output]:
    wanted = (request.body.get("reasoning") or {}).get("summary")
    summary: list[str] = []
    if "reason" in request.directions:
        summary = ["**Reading the prompt**\n\nIt is simulated.", "**Answering**\n\nSo is this."]
    elif wanted and wanted != "none":
        summary = ["**Reading the prompt**\n\nNo model does."]
    if request.effort == "none" and not summary:
        return
    item: JsonObject = {
        "id": names.new("rs"),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": text} for text in summary],
    }
    if "reasoning.encrypted_content" in (request.body.get("include") or []):
        item["encrypted_content"] = names.encrypt(item["id"])
    yield Output(item)


def _messages(request: ModelRequest, names: Names) -> Iterator[Output]:
    script = request.directions
    if "commentary" in script:
        yield _message(names, "Let me see. (This is a simulated remark in passing.)", "commentary")
    scripted = next((play for name, play in _SCRIPTED.items() if name in script), None)
    if scripted is not None:
        yield from scripted(request, names)
    else:
        yield from _natural(request, names)
    if "two" in script:
        yield _message(names, "This is the second simulated message.")


def _natural(request: ModelRequest, names: Names) -> Iterator[Output]:
    calls = _calls(request)
    if calls:
        yield from (play(request, names) for play in calls)
        if any(play is _image_call for play in calls):
            yield _message(names, "")  # recorded: an empty message follows the image
        if any(play is _search for play in calls):
            yield _cited(request, names)
        return
    yield _message(names, _answer_text(request))


def _answer_text(request: ModelRequest) -> str:
    kind = request.form.get("type")
    if kind == "json_schema":
        value = schema.example(request.form.get("schema"), request.story)
        return json.dumps(value, ensure_ascii=False)
    shape = prose.schema_in([request.prompt, *request.rules])
    if kind == "json_object":
        value = schema.example(shape, request.story) if shape else {"answer": _plain_text(request)}
        return json.dumps(value, ensure_ascii=False)
    if shape and any(_FENCE in text for text in (request.prompt, *request.rules)):
        value = schema.example(shape, request.story)
        return f"{_FENCE}\n{json.dumps(value, ensure_ascii=False)}\n```"
    if shape and any(_JSON_ALONE in rule for rule in request.rules):
        return json.dumps(schema.example(shape, request.story), ensure_ascii=False)
    return _plain_text(request)


def _plain_text(request: ModelRequest) -> str:
    if line := commands.command(request.prompt, request.rules):
        return line
    if request.outputs:
        lines = "\n".join(f"{tool} said: {output}" for tool, output in request.outputs)
        return f"The simulated Codex backend heard from its tools.\n{lines}"
    seen = _seen(request)
    scripted = prose.ordered(request.prompt) or (
        prose.on_sight(request.rules) if request.pictures else None
    )
    if scripted:
        return scripted
    if tags := prose.tags(request.prompt):
        return "\n".join(f"<{tag}>\nThis {tag} was simulated.\n</{tag}>" for tag in tags)
    if not seen and len(request.prompt) < 80 and _GREETING.search(request.prompt):
        return HELLO
    lines = f"You said: “{short(request.prompt)}”" if request.prompt else "You said nothing."
    return " ".join(filter(None, ["Hello from the simulated Codex backend.", lines, seen]))


def _seen(request: ModelRequest) -> str:
    sentences = []
    if request.pictures:
        count = "one image" if len(request.pictures) == 1 else f"{len(request.pictures)} images"
        sentences.append(f"I see {count}, {', '.join(request.pictures)}.")
    if request.files:
        count = "one file" if len(request.files) == 1 else f"{len(request.files)} files"
        sentences.append(f"I see {count}, {', '.join(request.files)}.")
    return " ".join(sentences)


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


def _say_script(request: ModelRequest, names: Names) -> Iterator[Output]:
    yield _message(names, request.directions.text("say"))


def _long(request: ModelRequest, names: Names) -> Iterator[Output]:
    deltas = [f"{number} " for number in range(1, request.directions.count("long") + 1)]
    yield _message(names, "".join(deltas), deltas=deltas)


def _surrogate(request: ModelRequest, names: Names) -> Iterator[Output]:
    deltas = ["A simulated smile: ", "\ud83d", "\ude42", "."]
    yield _message(names, "A simulated smile: 🙂.", deltas=deltas)


def _refuse_script(request: ModelRequest, names: Names) -> Iterator[Output]:
    text = request.directions.text("refuse", "The simulated backend refuses to answer that.")
    part: JsonObject = {"type": "refusal", "refusal": text}
    yield Output(_message_item(names, part, "final_answer"))


def _incomplete(request: ModelRequest, names: Names) -> Iterator[Output]:
    yield _message(names, "Half a simulated ans")


def _tool_script(request: ModelRequest, names: Names) -> Iterator[Output]:
    if request.outputs:
        yield _message(names, _answer_text(request))
        return
    for argument in request.directions.arguments["tool"]:
        name, _, arguments = argument.partition(" ")
        tool = next((tool for tool in request.tools if tool.name == name), None)
        yield _call(names, tool or _unknown(name), arguments.strip() or None, request)


def _tools_script(request: ModelRequest, names: Names) -> Iterator[Output]:
    if request.outputs:
        yield _message(names, _answer_text(request))
        return
    tool = _fitting(request) or next(_callable(request.tools), None) or _unknown("simulated_tool")
    for _ in range(request.directions.count("tools")):
        yield _call(names, tool, None, request)


# The first in a prompt decides the answer.
_SCRIPTED: dict[str, Callable[[ModelRequest, Names], Iterator[Output]]] = {
    "refuse": _refuse_script,
    "say": _say_script,
    "long": _long,
    "surrogate": _surrogate,
    "tool": _tool_script,
    "tools": _tools_script,
    "incomplete": _incomplete,
}

_Play = Callable[[ModelRequest, Names], Output]


def _calls(request: ModelRequest) -> list[_Play]:
    """The tools to call for this prompt; none if it needs none."""
    choice = request.body.get("tool_choice", "auto")
    if choice == "none" or not request.tools or prose.forbids_tools(request.prompt):
        return []
    tool = _next_tool(request, choice) if request.outputs else _chosen(request, choice)
    if tool is None:
        return []
    if tool.kind in _HOSTED:
        return [_HOSTED[tool.kind]]
    found = prose.places(request.prompt) if request.parallel else []
    wanted = found if len(found) > 1 and tool.kind == "function" else [None]
    return [_calling(tool, place) for place in wanted]


def _calling(tool: Tool, place: str | None) -> _Play:
    return lambda request, names: _call(names, tool, None, request, place)


def _next_tool(request: ModelRequest, choice: object) -> Tool | None:
    """After a call: a tool that the prompt names too, or one that must be called."""
    if isinstance(choice, dict) and choice.get("type") != "allowed_tools":
        return _chosen(request, choice)
    called = {name for name, _ in request.outputs}
    left = [tool for tool in request.tools if tool.name not in called and tool.kind == "function"]
    demanded = next(_callable([*left, *request.tools]), None) if choice == "required" else None
    return next(_tools_in_prompt(request, left), demanded)


def _chosen(request: ModelRequest, choice: object) -> Tool | None:
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        named = {part.get("name") or part.get("type") for part in choice.get("tools") or []}
        allowed = [tool for tool in request.tools if tool.name in named]
        return _fitting(request, allowed) or (allowed[0] if _demanded(choice) and allowed else None)
    if isinstance(choice, dict):
        named = {choice.get("name") or choice.get("type")}
        return next((tool for tool in request.tools if tool.name in named), None)
    return _fitting(request) or (
        next(_callable(request.tools), None) if choice == "required" else None
    )


def _demanded(choice: JsonObject) -> bool:
    return choice.get("mode") == "required"


def _fitting(request: ModelRequest, among: Sequence[Tool] | None = None) -> Tool | None:
    """The tool whose name or description shares most words with the prompt; of several that it
    names, the first."""
    tools = request.tools if among is None else among
    prompt_words = _words_of(request.prompt)
    best = max(tools, key=lambda tool: _score(tool, prompt_words, request), default=None)
    least = 1 if len(tools) <= _FEW else 2
    if best is None or _score(best, prompt_words, request) < least:
        return None
    words = _words_of_name(best) & prompt_words
    if request.pictures and not words and best.kind == "function":
        return None  # whoever shows a picture wants to hear of it
    others = [
        tool
        for tool in _tools_in_prompt(request, tools)
        if not _words_of_name(tool) & prompt_words <= words
    ]
    return next(_tools_in_prompt(request, [best, *others]), best)


def _tools_in_prompt(request: ModelRequest, tools: Sequence[Tool]) -> Iterator[Tool]:
    """Those of which a word stands in the prompt, in its order."""
    prompt_words = _words_of(request.prompt)
    named = [
        tool for tool in tools if tool.kind == "function" and _words_of_name(tool) & prompt_words
    ]
    prompt = request.prompt.lower()
    return iter(
        sorted(named, key=lambda tool: min(map(prompt.index, _words_of_name(tool) & prompt_words)))
    )


def _words_of(text: str) -> set[str]:
    return set(_WORD.findall(text.lower())) - _COMMON


def _words_of_name(tool: Tool) -> set[str]:
    return _words_of(re.sub(r"([a-z])([A-Z])", r"\1 \2", tool.name).replace("_", " "))


def _score(tool: Tool, prompt_words: set[str], request: ModelRequest) -> int:
    if tool.kind not in _CALLED:
        return 0
    if tool.kind in _WANTED:
        return 2 if len(request.tools) == 1 or _WANTED[tool.kind].search(request.prompt) else 0
    # The first line only: the rest of a long description is about other things.
    about = {word for word in _words_of(tool.description.partition("\n")[0][:120]) if len(word) > 4}
    whole = 4 if tool.name.lower() in request.prompt.lower() else 0
    return whole + 3 * len(_words_of_name(tool) & prompt_words) + len(about & prompt_words)


def _callable(tools: Sequence[Tool]) -> Iterator[Tool]:
    return (tool for tool in tools if tool.kind in _CALLED)


def _unknown(name: str) -> Tool:
    return Tool("function", name, None, "", {"type": "object"}, False, {})


def _call(
    names: Names, tool: Tool, text: str | None, request: ModelRequest, place: str | None = None
) -> Output:
    item: JsonObject = {"id": "", "type": "", "call_id": names.new("call"), "name": tool.name}
    if tool.namespace is not None:
        item["namespace"] = tool.namespace
    item["status"] = "completed"
    if tool.kind == "custom":
        item.update(id=names.new("ctc"), type="custom_tool_call", input=text or request.prompt)
        return Output(item)
    results = [output for _, output in request.outputs]
    made = schema.example(
        tool.parameters, request.story, optional=False, place=place, results=results
    )
    arguments = json.dumps(made, ensure_ascii=False) if text is None else text
    item.update(id=names.new("fc"), type="function_call", arguments=arguments)
    return Output(item)


def _search(request: ModelRequest, names: Names) -> Output:
    query = short(request.prompt)
    return Output(
        {
            "id": names.new("ws"),
            "type": "web_search_call",
            "status": "completed",
            "action": {"type": "search", "query": query, "queries": [query]},
        }
    )


def _cited(request: ModelRequest, names: Names) -> Output:
    source = "example.com"
    text = f"According to {source}, this search was simulated. {_plain_text(request)}"
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


def _image_call(request: ModelRequest, names: Names) -> Output:
    tool = next(tool.definition for tool in request.tools if tool.kind == "image_generation")
    width, height = pixels(tool.get("size"), exact="exact" in request.directions, nearest=False)
    item: JsonObject = {
        "id": names.new("ig"),
        "type": "image_generation_call",
        "status": "generating",  # recorded: it still says so when it is done
        "action": tool.get("action") if tool.get("action") in ("generate", "edit") else "generate",
        "background": "opaque",
        "output_format": tool.get("output_format") or "png",
        "quality": "medium",
        "size": f"{width}x{height}",
        "revised_prompt": short(request.prompt),
    }
    if "blocked" in request.directions:
        error = {"code": "moderation_blocked", "message": BLOCKED}
        return Output({**item, "status": "failed", "error": error})
    drawn = list(_drawn(request, width, height, item["output_format"], tool.get("partial_images")))
    return Output({**item, "result": drawn[-1]}, partials=drawn[:-1])


def _drawn(
    request: ModelRequest, width: int, height: int, kind: str, partials: object
) -> Iterator[str]:
    """The partial pictures, and the whole one at the end."""
    count = int(str(partials or 0))
    for step in range(1, count + 2):
        last = step == count + 1
        image = png(
            width,
            height,
            request.prompt,
            done=step / (count + 1),
            ballast=request.directions.count("heavy") << 20 if last else 0,
        )
        yield base64.b64encode(recoded(image, kind)).decode()


_HOSTED: dict[str, _Play] = {"web_search": _search, "image_generation": _image_call}
_CALLED = frozenset({"function", "custom", *_HOSTED})
_WANTED = {"web_search": _SEARCH, "image_generation": _DRAW}
