"""Runs a snippet of docs/clients.md: `snippet.py SNIPPET CHECK`. The check runs where `# agent:` stands in the snippet."""

import ast
import asyncio
import pathlib
import sys
import textwrap

snippet, check = (pathlib.Path(name).read_text() for name in sys.argv[1:])
# The checks have the names of the packages that they try.
sys.path.pop(0)

lines = snippet.split("\n")
at = next(at for at, line in enumerate(lines) if line.strip().startswith("# agent:"))
indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
lines[at] = textwrap.indent(check, indent)
code = compile("\n".join(lines), sys.argv[1], "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
asyncio.run(eval(code, {"__name__": "snippet"}))
