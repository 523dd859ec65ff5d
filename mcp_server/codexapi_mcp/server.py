"""Registers the tools with their descriptions.

`text.py`, `images.py`, `audio.py` and `status.py` implement them, and are loaded by the first call of a tool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations

from codexapi_engine import __version__
from codexapi_engine.bounds import PROGRESS_INTERVAL
from codexapi_engine.ending import signals_wake

from . import failures, schema
from .arguments import present, unknown
from .detach import Workers
from .options import Options
from .pipes import pipes
from .runtime import Runtime
from .schema import AccountResult, ImageResult, ModelsResult, TranscriptResult

if TYPE_CHECKING:
    from codexapi_engine import Codex, Settings

Ctx: TypeAlias = Context[Runtime, Any]


class Server(MCPServer[Runtime]):
    """The SDK's server, with failures in our form, and with a note for each unknown argument."""

    runtime: Runtime | None = None  # while it serves
    wire: int | None = None  # the descriptor of its own stdout, where it has one
    workers: Workers | None = None  # its loop's threads, while it serves on stdio
    linger = 0.0  # seconds that its end waits for pictures which are being made

    async def run_stdio_async(self) -> None:
        """On pipes of our own: the SDK leaves what it cannot read without an answer."""
        self.workers = Workers()
        loop, inner = asyncio.get_running_loop(), self._lowlevel_server
        loop.set_default_executor(self.workers)
        with signals_wake(loop):
            async with pipes() as (incoming, outgoing, sink):
                self.wire = sink.descriptor
                await inner.run(incoming, outgoing, inner.create_initialization_options())

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Ctx | None = None
    ) -> CallToolResult | InputRequiredResult:
        schemas = {tool.name: tool.input_schema for tool in await self.list_tools()}
        if (rules := schemas.get(name)) is not None:
            arguments = present(arguments, rules)
        try:
            result = await super().call_tool(name, arguments, context)
        except ToolError as error:
            result = failures.to_result(name, error)
        ignored = unknown(arguments, rules) if rules is not None else []
        if ignored and isinstance(result, CallToolResult):
            _note(result, f"Ignored, for {name} has no such parameter: {', '.join(ignored)[:500]}.")
        paths = self.runtime.news() if self.runtime is not None else []
        if paths and isinstance(result, CallToolResult):
            _note(result, f"Saved earlier, when no client was there: {', '.join(map(str, paths))}.")
        return result


def create_server(
    codex: Codex | None = None,
    settings: Settings | None = None,
    *,
    options: Options | None = None,
    heartbeat: float = PROGRESS_INTERVAL,
) -> Server:
    """The MCP server. A `codex` of the caller's own stays open at the end; else one is opened with
    `settings`, or with the environment's, when the first tool is called."""
    options = options or Options()

    @asynccontextmanager
    async def lifespan(_: MCPServer[Runtime]) -> AsyncIterator[Runtime]:
        server.runtime = runtime = Runtime(codex, settings, options=options, heartbeat=heartbeat)
        try:
            yield runtime
        finally:
            await runtime.aclose(server.linger)
            server.runtime = None

    server = Server(
        "codexapi",
        title="codexapi",
        version=__version__,
        instructions=schema.instructions(options),
        lifespan=lifespan,
        log_level="WARNING",
        subscriptions=False,  # nothing that clients see ever changes
        tools=[_to_tool(name) for name in _REGISTRATIONS if name in options.tools],
    )
    return server


async def generate_text(
    ctx: Ctx,
    prompt: schema.Prompt,
    system: schema.System = None,
    model: schema.Model = None,
    effort: schema.Effort = None,
    images: schema.ShownImages = [],  # noqa: B006  (the SDK copies it)
    files: schema.Files = [],  # noqa: B006
    json_schema: schema.JsonSchema = None,
    max_output_tokens: schema.MaxOutputTokens = None,
    conversation_id: schema.ConversationId = None,
) -> CallToolResult:
    """Ask an OpenAI model through the user's own ChatGPT login, and return its answer, then a
    conversation_id to go on with. It sees the prompt, and the images and files that are named,
    and nothing else of this conversation."""
    from . import text

    question = text.Question(
        prompt, system, model, effort, images, files, json_schema, max_output_tokens,
        conversation_id,
    )  # fmt: skip
    return await text.generate(ctx, question)


async def generate_image(
    ctx: Ctx,
    prompt: schema.ToDraw,
    size: schema.Size = "auto",
    quality: schema.Quality = "auto",
    background: schema.Background = "auto",
    format: schema.Format = None,  # noqa: A002  (the tool's own word)
    n: schema.Count = 1,
    output_path: schema.OutputPath = None,
    inline: schema.Inline = None,
) -> Annotated[CallToolResult, ImageResult]:
    """Draw a picture with OpenAI's image model through the user's own ChatGPT login, save it to
    disk, and return where it is. Takes a minute or two. If a call times out, make the same call
    again: the picture is kept for it."""
    from . import images as drawing

    request = drawing.image_request(prompt, size=size, quality=quality, background=background)
    return await drawing.generate(
        ctx, request, drawing.OutputOptions(format, n, output_path, inline)
    )


async def edit_image(
    ctx: Ctx,
    prompt: schema.ToChange,
    images: schema.EditedImages,
    mask: schema.Mask = None,
    size: schema.Size = "auto",
    quality: schema.Quality = "auto",
    background: schema.Background = "auto",
    format: schema.Format = None,  # noqa: A002
    n: schema.Count = 1,
    output_path: schema.OutputPath = None,
    inline: schema.Inline = None,
) -> Annotated[CallToolResult, ImageResult]:
    """Change or combine pictures with OpenAI's image model through the user's own ChatGPT
    login, save the result to disk, and return where it is. Takes a minute or two. If a call
    times out, make the same call again: the picture is kept for it."""
    from . import images as drawing

    request = drawing.image_request(prompt, size=size, quality=quality, background=background)
    output = drawing.OutputOptions(format, n, output_path, inline)
    return await drawing.edit(ctx, request, images, mask, output)


async def transcribe_audio(
    ctx: Ctx, path: schema.AudioPath, language: schema.Language = None
) -> Annotated[CallToolResult, TranscriptResult]:
    """Write down what is said in an audio file on the user's disk, through the user's own
    ChatGPT login, and return the text. Of one of more than about 80 seconds that is no
    WAV file, the end may be missing: the result says so."""
    from . import audio

    return await audio.transcribe(ctx, path, language)


async def list_models(ctx: Ctx) -> Annotated[CallToolResult, ModelsResult]:
    """The models that generate_text can ask, the account's first choice first, with the efforts
    that each has."""
    from . import status

    return await status.models(ctx)


async def account_status(
    ctx: Ctx, include_email: schema.IncludeEmail = False
) -> Annotated[CallToolResult, AccountResult]:
    """Whether the user is logged in, with which plan, how much of its limits is used and when
    they begin anew. Tells no secrets."""
    from . import status

    return await status.account(ctx, include_email=include_email)


@dataclass(frozen=True, slots=True)
class _Registration:
    """How a tool is shown to clients; its name and description are those of its function."""

    function: Callable[..., Awaitable[CallToolResult]]
    title: str
    annotations: ToolAnnotations
    structured: bool | None = None  # None: where the function says what its result has


_REGISTRATIONS = {
    registration.function.__name__: registration
    for registration in (
        # Some clients show the model nothing but structured output.
        _Registration(generate_text, "Ask a Codex model", schema.READS, structured=False),
        _Registration(generate_image, "Generate image", schema.DRAWS),
        _Registration(edit_image, "Edit image", schema.DRAWS),
        _Registration(transcribe_audio, "Transcribe audio", schema.READS),
        _Registration(list_models, "List models", schema.READS),
        _Registration(account_status, "Account status", schema.LOOKS),
    )
}


@cache
def _to_tool(name: str) -> Tool:
    """A tool, whose schema is made once for all servers of a process."""
    registration = _REGISTRATIONS[name]
    return Tool.from_function(
        registration.function,
        title=registration.title,
        annotations=registration.annotations,
        structured_output=registration.structured,
    )


def _note(result: CallToolResult, note: str) -> None:
    """Adds a remark where it is seen, whichever half of a result a client shows."""
    result.content.append(TextContent(text=f"[{note}]"))
    content = result.structured_content
    if content is None:
        return
    place, key = (content["error"], "message") if result.is_error else (content, "note")
    place[key] = f"{place[key]} {note}" if place.get(key) else note
