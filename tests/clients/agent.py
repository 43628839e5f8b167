"""An agent program for `airlock shadow run --agent`: reads a query from stdin, calls tools over MCP, prints its answer.

It has rules in the place of a model, so that it does the same each time. The words after it change what it does: a change of
the agent, or trouble with it.
"""

import json
import os
import re
import subprocess
import sys
import time


class Server:
    """An MCP server over stdio, started as the file of `AIRLOCK_MCP_CONFIG` says."""

    def __init__(self, config):
        with open(config, encoding="utf-8") as file:
            entry = json.load(file)["mcpServers"]["airlock"]
        self.process = subprocess.Popen([entry["command"], *entry["args"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ids = 0
        client = {"name": "agent", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client})
        self.send({"method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.ids += 1
        self.send({"id": self.ids, "method": method, "params": params})
        while True:
            message = json.loads(self.process.stdout.readline())
            if message.get("id") == self.ids:
                return message["result"]

    def call(self, tool, args):
        result = self.ask("tools/call", {"name": tool, "arguments": args})
        if result.get("isError"):
            raise RuntimeError(result["content"][0]["text"])
        return result["structuredContent"]["result"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def convert(server, query, change):
    value, unit = re.search(r"([\d.]+) (mile)", query).groups()
    args = {"from": unit, "to": "m" if change == "unit" else "km", "value": float(value)}
    if change == "list":
        server.ask("tools/list", {})
    if change == "twice":
        server.call("unit_convert", args)
    found = server.call("unit_convert", args)
    digits = int(change[5:]) if change.startswith("round") else 3
    return f"{value} miles are {found['value']:.{digits}f} {found['unit']}."


def jobs(server, query, change):
    period = re.search(r"\d{4}-\d{2}", query).group()
    found = server.call("sector_metrics", {"period": period})
    return f"{len(found['rows'])} sectors are known of {period}."


def trouble(change):
    if change == "hang":
        time.sleep(600)
    if change == "die":
        sys.exit("no model answers")
    if change == "killed":
        os.kill(os.getpid(), 9)
    if change == "garbage":
        sys.stdout.buffer.write(b"\xff\xfe\x00")
        sys.exit()
    if change == "flood":
        while True:
            print("x" * 100_000)
    if change == "silent":
        sys.exit()


def main():
    change = sys.argv[1] if len(sys.argv) > 1 else ""
    trouble(change)
    query = sys.stdin.read()
    server = Server(os.environ["AIRLOCK_MCP_CONFIG"])
    try:
        answer = convert(server, query, change) if "mile" in query else jobs(server, query, change)
    except RuntimeError as err:
        answer = f"I cannot tell: {err}"
    server.close()
    print(answer)


main()
