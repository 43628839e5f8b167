"""What a team would write in Python without any of us: three tools with fastmcp. Over stdio, or over HTTP at the port that is
given."""

import sys
import time
from typing import Literal

from fastmcp import FastMCP

Unit = Literal["m", "km", "mile", "kg", "pound", "celsius", "fahrenheit"]

SCALES = {
    "m": ("length", 1.0, 0.0),
    "km": ("length", 1000.0, 0.0),
    "mile": ("length", 1609.344, 0.0),
    "kg": ("mass", 1.0, 0.0),
    "pound": ("mass", 0.45359237, 0.0),
    "celsius": ("temperature", 1.0, 0.0),
    "fahrenheit": ("temperature", 5 / 9, 32.0),
}

server = FastMCP("units")


# `from` is a word of the language, so that the argument has another name.
@server.tool
def unit_convert(value: float, from_unit: Unit, to: Unit) -> dict[str, float | str]:
    """Converts a value from one unit to another of the same kind."""
    kind, size, zero = SCALES[from_unit]
    other, to_size, to_zero = SCALES[to]
    if kind != other:
        raise ValueError(f"A {kind} cannot be converted into a {other}.")
    return {"value": (value - zero) * size / to_size + to_zero, "unit": to}


@server.tool
def sleep(ms: int) -> str:
    """Sleeps."""
    time.sleep(ms / 1000)
    return "slept"


@server.tool
def looping() -> str:
    """Never returns."""
    while True:
        pass


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run(
            transport="http", host="127.0.0.1", port=int(sys.argv[1]), json_response=True, show_banner=False
        )
    else:
        server.run(transport="stdio", show_banner=False)
