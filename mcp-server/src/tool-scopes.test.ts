import { expect, test } from "vitest";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { scopesOfCalls, toolScopes } from "./tool-scopes.ts";

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const call = (name: unknown) => ({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } });

test("every tool has a scope", () => {
  const folder = path.join(import.meta.dirname, "tools");
  const names = readdirSync(folder)
    .filter((file) => !file.endsWith(".test.ts"))
    .flatMap(
      (file) =>
        /^ {2}name: "(\w+)",$/m.exec(readFileSync(path.join(folder, file), "utf8"))?.[1] ?? [],
    );
  expect(names.length).toBeGreaterThanOrEqual(5);
  expect(names.filter((name) => !Object.hasOwn(toolScopes, name))).toEqual([]);
});

test("what a message needs: its calls of tools, one or many, and nothing for the rest", () => {
  expect(scopesOfCalls(bytes(call("search_images")))).toEqual(["search"]);
  expect(scopesOfCalls(bytes([call("index_image"), call("ask_image")]))).toEqual([
    "index",
    "infer",
  ]);
  for (const value of [
    ...[{ method: "tools/list" }, call("toString"), call("nobody"), call(1), null, 1, "x", []],
    { ...call("index_image"), method: "tools/list" },
  ]) {
    expect(scopesOfCalls(bytes(value))).toEqual([]);
  }
  expect(scopesOfCalls(new TextEncoder().encode("{"))).toEqual([]);
});
