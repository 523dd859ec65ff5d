"""The tools, and the stdio process that serves them.

A tool's failure is a ToolError: any other exception reaches the model without its text.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import FrameType
from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from codexapi_engine import (
    Assembler,
    Codex,
    CodexError,
    EventStream,
    Settings,
    Text,
    __version__,
    request,
    text_of,
)

from .images import add_image_tools
from .workshop import HEARTBEAT, Workshop, signs_of_life

INSTRUCTIONS = (
    "Text and image generation with the user's own Codex/ChatGPT login (no API key). Use "
    "generate_image or edit_image whenever the user wants a picture, icon, diagram mock-up, "
    "texture, sprite or photo: files are saved to disk, and the absolute path is returned. Use "
    "generate_text for a second opinion from an OpenAI model."
)


def create_server(
    codex: Codex | None = None,
    settings: Settings | None = None,
    *,
    heartbeat: float = HEARTBEAT,
) -> MCPServer:
    """The MCP server. A `codex` of the caller's own stays open at the end."""

    @asynccontextmanager
    async def lifespan(_: MCPServer[Workshop]) -> AsyncIterator[Workshop]:
        async with AsyncExitStack() as stack:
            own = codex
            if own is None:
                own = await stack.enter_async_context(Codex(settings))
            shop = Workshop(own, heartbeat)
            stack.push_async_callback(shop.jobs.aclose)
            yield shop

    server: MCPServer[Workshop] = MCPServer(
        "codexapi",
        title="codexapi",
        version=__version__,
        instructions=INSTRUCTIONS,
        lifespan=lifespan,
        log_level="WARNING",
    )

    @server.tool(
        title="Ask a Codex model",
        annotations=ToolAnnotations(read_only_hint=True, open_world_hint=True),
        structured_output=False,  # some clients show the model nothing but structured output
    )
    async def generate_text(
        ctx: Context[Workshop],
        prompt: Annotated[str, Field(min_length=1, description="What to ask.")],
        system: Annotated[
            str | None, Field(description="Instructions for the model. Default: none.")
        ] = None,
        model: Annotated[
            str | None, Field(description="Model name. Default: the user's own choice.")
        ] = None,
        effort: Annotated[
            str | None,
            Field(description="Reasoning effort: low, medium, high, … Default: the model's own."),
        ] = None,
    ) -> CallToolResult:
        """Ask an OpenAI model through the user's own ChatGPT login, and return its answer."""
        backend = ctx.request_context.lifespan_context.codex
        try:
            asked = request(
                prompt, model=await backend.model(model), instructions=system, effort=effort
            )
            async with await backend.open(asked) as events:
                response = await _with_heartbeat(events, ctx)
        except CodexError as error:
            raise ToolError(f"{error.code or error.type}: {error}") from None
        answer = text_of(response)
        if response["status"] == "incomplete":
            answer += "\n\n[The answer is incomplete.]"
        return CallToolResult(content=[TextContent(text=answer)])

    add_image_tools(server)
    return server


async def _with_heartbeat(events: EventStream, ctx: Context[Workshop]) -> dict[str, object]:
    """The finished response; meanwhile the client hears how far it is."""
    fold, text, size = Assembler(), Text(), 0

    def said(seconds: float) -> str:
        return f"{size} characters" if size else f"thinking, {seconds:.0f} s"

    async with signs_of_life(ctx, said):
        while batch := await events.batch():
            for event in batch:
                fold.feed(event)
                size += len(text.feed(event))
    return fold.finish()


def serve(settings: Settings) -> int:
    """Serves on stdin and stdout until stdin ends or a signal comes; returns the exit code."""
    # Before the SDK does it: its own handler draws boxed tracebacks into the editor's log.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="codexapi: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    try:
        create_server(settings=settings).run("stdio")
    except* (BrokenPipeError, ConnectionResetError):
        pass  # the editor closed the pipe: nobody is left to tell
    return 0


def _leave(number: int, _: FrameType | None) -> None:
    # The SDK's reader blocks in a thread that nothing can cancel.
    sys.stderr.flush()
    os._exit(128 + number)
