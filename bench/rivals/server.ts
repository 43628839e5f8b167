// What a team would write in TypeScript without any of us: three tools with the protocol's SDK. Over stdio, or over HTTP at
// the port that is given.

import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

const SCALES: Record<string, [string, number, number]> = {
  m: ["length", 1, 0],
  km: ["length", 1000, 0],
  mile: ["length", 1609.344, 0],
  kg: ["mass", 1, 0],
  pound: ["mass", 0.45359237, 0],
  celsius: ["temperature", 1, 0],
  fahrenheit: ["temperature", 5 / 9, 32],
};

const unit = z.enum(["m", "km", "mile", "kg", "pound", "celsius", "fahrenheit"]);

function answer(structuredContent: Record<string, unknown>) {
  return { content: [{ type: "text" as const, text: JSON.stringify(structuredContent) }], structuredContent };
}

// The SDK wants one of them for each session.
function units() {
  const server = new McpServer({ name: "units", version: "1.0.0" });

  server.registerTool(
    "unit_convert",
    {
      description: "Converts a value from one unit to another of the same kind.",
      inputSchema: { value: z.number(), from: unit, to: unit },
      outputSchema: { value: z.number(), unit },
    },
    async ({ value, from, to }) => {
      const [kind, size, zero] = SCALES[from]!;
      const [other, toSize, toZero] = SCALES[to]!;
      if (kind !== other) {
        throw new Error(`A ${kind} cannot be converted into a ${other}.`);
      }
      return answer({ value: ((value - zero) * size) / toSize + toZero, unit: to });
    },
  );

  server.registerTool(
    "sleep",
    { description: "Sleeps.", inputSchema: { ms: z.number().int() } },
    async ({ ms }) => {
      await new Promise((done) => setTimeout(done, ms));
      return { content: [{ type: "text", text: "slept" }] };
    },
  );

  server.registerTool("looping", { description: "Never returns.", inputSchema: {} }, async () => {
    for (;;);
  });

  return server;
}

const sessions = new Map<string, StreamableHTTPServerTransport>();

async function session() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    enableJsonResponse: true,
    onsessioninitialized: (id) => void sessions.set(id, transport),
  });
  transport.onclose = () => void sessions.delete(transport.sessionId ?? "");
  await units().connect(transport);
  return transport;
}

async function handle(request: IncomingMessage, response: ServerResponse) {
  const id = request.headers["mcp-session-id"];
  const transport = id === undefined ? await session() : sessions.get(String(id));
  if (transport === undefined) {
    response.writeHead(404).end();
  } else {
    await transport.handleRequest(request, response);
  }
}

const port = process.argv[2];
if (port === undefined) {
  await units().connect(new StdioServerTransport());
} else {
  createServer(handle).listen(Number(port), "127.0.0.1");
}
