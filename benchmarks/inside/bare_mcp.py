"""A server of the bare MCP SDK, with one tool: what no server made with it can start faster than."""

from mcp.server import MCPServer

server = MCPServer("bare", log_level="WARNING")


@server.tool()
async def echo(text: str) -> str:
    """Says it again."""
    return text


server.run()
