"""LangGraph's MCP adapter: `langgraph.py URL` or `langgraph.py COMMAND ARGS…`."""

import asyncio
import sys

sys.path.pop(0)

from langchain_mcp_adapters.client import MultiServerMCPClient  # noqa: E402


async def main(words):
    if words[0].startswith("http"):
        server = {"url": words[0], "transport": "http"}
    else:
        server = {"command": words[0], "args": words[1:], "transport": "stdio"}
    tools = await MultiServerMCPClient({"airlock": server}).get_tools()
    convert = next(tool for tool in tools if tool.name == "unit_convert")
    result = await convert.ainvoke({"value": 1, "from": "km", "to": "m"})
    assert "1000" in str(result), result


asyncio.run(main(sys.argv[1:]))
