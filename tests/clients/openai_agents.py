"""The OpenAI Agents SDK's MCP servers: `openai_agents.py URL` or `openai_agents.py COMMAND ARGS…`."""

import asyncio
import sys

from agents.mcp import MCPServerStdio, MCPServerStreamableHttp


async def main(words):
    if words[0].startswith("http"):
        server = MCPServerStreamableHttp(params={"url": words[0]}, use_structured_content=True)
    else:
        server = MCPServerStdio(params={"command": words[0], "args": words[1:]}, use_structured_content=True)
    async with server:
        assert "unit_convert" in [tool.name for tool in await server.list_tools()]
        result = await server.call_tool("unit_convert", {"value": 1, "from": "km", "to": "m"})
        assert "1000" in str(result), result


asyncio.run(main(sys.argv[1:]))
