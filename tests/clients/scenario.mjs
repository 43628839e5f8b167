// What the TypeScript SDKs must see of a server:
// `scenario.mjs v1|v2 ERA URL [TOKEN]` or `scenario.mjs v1|v2 ERA -- COMMAND ARGS…`.

import assert from "node:assert/strict";

const [sdk, era, ...target] = process.argv.slice(2);
const info = { name: "scenario", version: "1" };

async function parts() {
  if (sdk === "v1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
    const http = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    return { client: new Client(info), StdioClientTransport, Http: http.StreamableHTTPClientTransport };
  }
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const client = new Client(info, { capabilities: {}, versionNegotiation: { mode: era } });
  return { client, StdioClientTransport, Http: StreamableHTTPClientTransport };
}

const { client, StdioClientTransport, Http } = await parts();
const headers = target[1] && target[0] !== "--" ? { Authorization: `Bearer ${target[1]}` } : {};
const transport =
  target[0] === "--"
    ? new StdioClientTransport({ command: target[1], args: target.slice(2) })
    : new Http(new URL(target[0]), { requestInit: { headers } });
await client.connect(transport);

const text = (result) => result.content.filter((block) => block.type === "text").map((block) => block.text).join("\n");
// Both SDKs take the options last; the first has the schema of the result in between.
const call = (name, args, options = {}) =>
  sdk === "v1"
    ? client.callTool({ name, arguments: args }, undefined, options)
    : client.callTool({ name, arguments: args }, options);

const names = (await client.listTools()).tools.map((tool) => tool.name);
assert(names.includes("unit_convert"), names.join());

const good = await call("unit_convert", { value: 1, from: "km", to: "m" });
assert.deepEqual(good.structuredContent.result, { value: 1000, unit: "m" });

const bad = await call("unit_convert", { value: "1", form: "km", to: "m" });
assert(bad.isError && !bad.structuredContent);
assert(text(bad).includes("Did you mean `from`") && text(bad).includes("expected number"), text(bad));

await assert.rejects(call("unit_convret", {}), /did you mean `unit_convert`/);

const told = [];
const fell = await call("falls_back", { period: "2009-10" }, { onprogress: (progress) => told.push(progress.progress) });
assert.equal(fell.structuredContent.status, "degraded");
assert(told.length > 0 && told.every((value, i) => i === 0 || value > told[i - 1]), told.join());

const controller = new AbortController();
setTimeout(() => controller.abort("no longer wanted"), 500);
await assert.rejects(call("loops_loop_forever", {}, { signal: controller.signal }));
const again = await call("unit_convert", { value: 2, from: "km", to: "m" });
assert.equal(again.structuredContent.result.value, 2000);

await client.close();
console.log("ok");
process.exit(0);
