"""What the Python SDK must see of a server: `scenario.py ERA URL [TOKEN]` or `scenario.py ERA -- COMMAND ARGS…`."""

import asyncio
import sys

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


def target(arguments):
    if arguments[0] == "--":
        return StdioServerParameters(command=arguments[1], args=arguments[2:])
    if len(arguments) > 1:
        headers = {"Authorization": f"Bearer {arguments[1]}"}
        client = httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=60))
        return streamable_http_client(arguments[0], http_client=client)
    return arguments[0]


def text(result):
    return "\n".join(block.text for block in result.content if block.type == "text")


async def main(era, arguments):
    async with Client(target(arguments), mode=era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert "unit_convert" in names and names == sorted(names), names

        good = await client.call_tool("unit_convert", {"value": 1, "from": "km", "to": "m"})
        assert not good.is_error and good.structured_content["result"] == {"value": 1000.0, "unit": "m"}, good

        bad = await client.call_tool("unit_convert", {"value": "1", "form": "km", "to": "m"})
        assert bad.is_error and bad.structured_content is None, bad
        assert "Did you mean `from`" in text(bad) and "expected number" in text(bad), text(bad)

        try:
            await client.call_tool("unit_convret", {})
            raise AssertionError("an unknown tool was answered")
        except MCPError as error:
            assert "did you mean `unit_convert`" in str(error), error

        told = []

        async def progress(done, total, message):
            told.append((done, message))

        fell = await client.call_tool("falls_back", {"period": "2009-10"}, progress_callback=progress)
        assert fell.structured_content["status"] == "degraded", fell
        assert told and [done for done, _ in told] == sorted({done for done, _ in told}), told

        try:
            async with asyncio.timeout(0.5):
                await client.call_tool("loops_loop_forever", {})
            raise AssertionError("an endless call ended")
        except TimeoutError:
            pass
        again = await client.call_tool("unit_convert", {"value": 2, "from": "km", "to": "m"})
        assert again.structured_content["result"]["value"] == 2000.0, again


asyncio.run(main(sys.argv[1], sys.argv[2:]))
print("ok")
