// The inspector's command line: a process for each call.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { promisify } from "node:util";

export const name = "@modelcontextprotocol/inspector";

const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
const { bin } = JSON.parse(readFileSync(manifest, "utf8"));
const main = path.join(
  path.dirname(manifest),
  typeof bin === "string" ? bin : Object.values(bin)[0],
);

const writeValue = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export async function connect({ transport, url, headers, stdio }) {
  const target =
    transport === "stdio"
      ? [
          ...Object.entries(stdio.env).flatMap(([key, value]) => ["-e", `${key}=${value}`]),
          ...[stdio.command, ...stdio.args],
        ]
      : [
          ...[url, "--transport", "http"],
          ...Object.entries(headers).flatMap(([key, value]) => ["--header", `${key}: ${value}`]),
        ];
  const ask = async (...args) => {
    const { stdout } = await promisify(execFile)(process.execPath, [
      main,
      "--cli",
      ...target,
      ...args,
    ]);
    return JSON.parse(stdout);
  };
  return {
    list: async () => (await ask("--method", "tools/list")).tools.map((tool) => tool.name),
    call: (tool, args) =>
      ask(
        ...["--method", "tools/call", "--tool-name", tool],
        ...Object.entries(args).flatMap(([key, value]) => [
          "--tool-arg",
          `${key}=${writeValue(value)}`,
        ]),
      ),
    close: async () => {},
  };
}
