from pydantic_ai.exceptions import ToolFailed

assert "unit_convert" in [tool.name for tool in await toolset.list_tools()]
result = await toolset.direct_call_tool("unit_convert", {"value": 1, "from": "km", "to": "m"})
assert "1000" in str(result), result
assert "degraded: " in toolset.instructions, toolset.instructions
try:
    await toolset.direct_call_tool("unit_convert", {"value": "x"})
    raise AssertionError("the call is invalid")
except ToolFailed as failed:
    assert "was not run" in str(failed), failed
