"""The FastMCP client: `fastmcp.py URL` or `fastmcp.py COMMAND ARGS…`."""

import asyncio
import sys

# This file has the name of the package that it tries.
sys.path.pop(0)

from fastmcp import Client  # noqa: E402
from fastmcp.client.transports import StdioTransport  # noqa: E402


async def main(words):
    target = words[0] if words[0].startswith("http") else StdioTransport(command=words[0], args=words[1:])
    async with Client(target) as client:
        assert "unit_convert" in [tool.name for tool in await client.list_tools()]
        result = await client.call_tool("unit_convert", {"value": 1, "from": "km", "to": "m"})
        assert result.structured_content["result"]["value"] == 1000.0, result
        bad = await client.call_tool("unit_convert", {"value": "x"}, raise_on_error=False)
        assert bad.is_error and "was not run" in bad.content[0].text, bad


asyncio.run(main(sys.argv[1:]))
