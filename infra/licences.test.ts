import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { forTools, isCovered, licencesPage, readDependencies, shippable } from "./licences.ts";

const root = path.dirname(import.meta.dirname);
const dependencies = readDependencies(root);

test("every package has a licence that is known", () => {
  const unknown = dependencies.filter(
    ({ licence }) => !isCovered(licence, new Set([...shippable, ...forTools])),
  );
  expect(unknown).toEqual([]);
});

test("what ships asks for its text to go along, and for nothing else", () => {
  const shipped = dependencies.filter(({ shipsWith }) => shipsWith.length > 0);
  // Of each delivery one that it cannot be without.
  for (const [name, delivery] of [
    ["hono", "the Worker"],
    ["onnxruntime-node", "the node"],
    ["@modelcontextprotocol/server", "the command line"],
  ] as const) {
    expect(shipped.find((one) => one.name === name)?.shipsWith).toContain(delivery);
  }
  expect(shipped.filter(({ licence }) => !isCovered(licence, shippable))).toEqual([]);
});

test.each([
  ["MIT", true],
  ["(MIT OR GPL-3.0-only)", true],
  ["(Apache-2.0 AND BSD-3-Clause)", true],
  ["Apache-2.0 AND LGPL-3.0-or-later", false],
  ["(MIT OR GPL-3.0-only) AND ISC", false],
  ["GPL-3.0-only", false],
  ["", false],
])("%s may ship: %s", (expression, expected) => {
  expect(isCovered(expression, shippable)).toBe(expected);
});

test("docs/licences.md is current: npm run licences", () => {
  // The formatter sets tables in columns.
  const bare = (text: string): string => text.replaceAll(/\s+/g, " ").replaceAll(/-{3,}/g, "---");
  const page = readFileSync(path.join(root, "docs/licences.md"), "utf8");
  expect(bare(page)).toBe(bare(licencesPage(dependencies)));
});
