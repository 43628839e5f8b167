"""pydantic-ai's MCP toolset: `pydantic_ai.py URL` or `pydantic_ai.py COMMAND ARGS…`."""

import asyncio
import sys

sys.path.pop(0)

from fastmcp.client.transports import StdioTransport  # noqa: E402
from pydantic_ai.mcp import MCPToolset  # noqa: E402


async def main(words):
    target = words[0] if words[0].startswith("http") else StdioTransport(command=words[0], args=words[1:])
    async with MCPToolset(target) as toolset:
        assert "unit_convert" in [tool.name for tool in await toolset.list_tools()]
        result = await toolset.direct_call_tool("unit_convert", {"value": 1, "from": "km", "to": "m"})
        assert "1000" in str(result), result


asyncio.run(main(sys.argv[1:]))
