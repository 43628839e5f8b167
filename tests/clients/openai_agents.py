assert "unit_convert" in [tool.name for tool in await server.list_tools()]
result = await server.call_tool("unit_convert", {"value": 1, "from": "km", "to": "m"})
assert "1000" in str(result), result
