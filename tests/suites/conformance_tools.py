"""Our server with the tools that the conformance suite calls by name: `python -m tests.suites.conformance_tools`.

They are added to the very server object that clients get; nothing else of it is changed.
"""

from __future__ import annotations

import base64
import sys
from dataclasses import replace
from typing import Annotated, Any, TypeAlias

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    ClientCapabilities,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    MissingRequiredClientCapabilityErrorData,
    SamplingCapability,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

import codexapi_http
from codexapi_engine import Codex, Settings
from codexapi_mcp import Endpoint, create_server
from codexapi_mcp.runtime import Runtime
from codexapi_mcp.server import Server

Ctx: TypeAlias = Context[Runtime, Any]

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
SILENCE = base64.b64encode(
    b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0D\xac\0\0\x88X\1\0\2\0\x10\0data\0\0\0\0"
).decode()
IMAGE = ImageContent(data=PIXEL, mime_type="image/png")


def with_fixtures(server: Server) -> Server:
    @server.tool(structured_output=False)
    async def test_simple_text() -> str:
        """A text."""
        return "This is a simple text response for testing."

    @server.tool(structured_output=False)
    async def test_image_content() -> list[ContentBlock]:
        """A picture."""
        return [IMAGE]

    @server.tool(structured_output=False)
    async def test_audio_content() -> list[ContentBlock]:
        """A sound."""
        return [AudioContent(data=SILENCE, mime_type="audio/wav")]

    @server.tool(structured_output=False)
    async def test_embedded_resource() -> list[ContentBlock]:
        """A resource."""
        return [resource("test://embedded-resource", "This is an embedded resource content.")]

    @server.tool(structured_output=False)
    async def test_multiple_content_types() -> list[ContentBlock]:
        """A text, a picture and a resource."""
        return [
            TextContent(text="Multiple content types test:"),
            IMAGE,
            resource("test://mixed-content-resource", '{"test":"data","value":123}'),
        ]

    @server.tool(structured_output=False)
    async def test_tool_with_progress(ctx: Ctx) -> str:
        """Three signs of life, and a text."""
        for progress in (0, 50, 100):
            await ctx.report_progress(progress, 100, f"Completed step {progress} of 100")
        return "done"

    @server.tool(structured_output=False)
    async def test_error_handling() -> str:
        """A failure."""
        raise ToolError("This tool intentionally returns an error for testing")

    @server.tool(structured_output=False)
    async def test_missing_capability(ctx: Ctx) -> str:
        """Nothing for a client that cannot sample."""
        had = ctx.request_context.session.client_capabilities
        if had is None or had.sampling is None:
            needed = ClientCapabilities(sampling=SamplingCapability())
            told = MissingRequiredClientCapabilityErrorData(required_capabilities=needed)
            raise MCPError(
                code=MISSING_REQUIRED_CLIENT_CAPABILITY,
                message="sampling is needed",
                data=told.model_dump(by_alias=True, mode="json", exclude_none=True),
            )
        return "done"

    @server.tool(structured_output=False)
    async def test_custom_header(
        region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})],
    ) -> str:
        """A parameter that stands in a header too."""
        return region

    return server


def resource(uri: str, text: str) -> EmbeddedResource:
    kind = "application/json" if text.startswith("{") else "text/plain"
    return EmbeddedResource(resource=TextResourceContents(uri=uri, text=text, mime_type=kind))


def endpoint(codex: Codex) -> Endpoint:
    return Endpoint(codex, server=with_fixtures(create_server(codex)))


if __name__ == "__main__":
    settings = replace(Settings.from_env(), port=0, demo=True)
    sys.exit(codexapi_http.serve(settings, mounts=[endpoint], api=False))
