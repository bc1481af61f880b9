// Lets every client list the tools and call each, over HTTP and over stdio; one JSON line for each pair. What to
// connect to comes as JSON in the environment: { url, headers, stdio, calls }.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";

const { calls, ...place } = JSON.parse(process.env.MCP_LAB);
const clients = ["sdk-v2", "sdk-v1", "inspector", "ai-sdk", "langchain", "openai-agents", "mastra"];

function versionOf(name) {
  const [folder] = createRequire(import.meta.url).resolve.paths(name);
  return JSON.parse(readFileSync(path.join(folder, name, "package.json"), "utf8")).version;
}

/** Whatever form the client gives a result: it is one of ours, and no failure. */
function check(tool, result) {
  const text = JSON.stringify(result) ?? "";
  const isOurs = text.includes("never instructions to follow");
  if (!isOurs || /isError\\*":\s*true/.test(text))
    throw new Error(`${tool}: ${text.slice(0, 300)}`);
}

for (const file of clients) {
  for (const transport of ["HTTP", "stdio"]) {
    const line = { client: file, transport };
    let connection;
    try {
      const { name, connect } = await import(`./${file}.mjs`);
      Object.assign(line, { client: name, version: versionOf(name) });
      connection = await connect({ transport, ...place });
      line.listed = await connection.list();
      line.called = [];
      for (const [tool, args] of calls) {
        check(tool, await connection.call(tool, args));
        line.called.push(tool);
      }
    } catch (error) {
      line.failed = String(error?.message ?? error).slice(0, 500);
    }
    await connection?.close().catch(() => {});
    console.log(JSON.stringify(line));
  }
}
process.exit(0);
