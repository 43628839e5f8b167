convert = next(tool for tool in tools if tool.name == "unit_convert")
for times in range(2):
    result = await convert.ainvoke({"value": 1, "from": "km", "to": "m"})
    assert "1000" in str(result), result
