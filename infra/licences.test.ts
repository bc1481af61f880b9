import path from "node:path";
import { expect, test } from "vitest";
import {
  forTools,
  isCovered,
  isCurrent,
  licencesPage,
  readDependencies,
  shippable,
} from "./licences.ts";

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

test("a page that lacks a package is not current", () => {
  const page = licencesPage(dependencies);
  expect(isCurrent(page, dependencies)).toBe(true);
  // Set in columns, as the formatter does.
  expect(isCurrent(page.replaceAll("| `", "|    `").replaceAll("---", "-----"), dependencies)).toBe(
    true,
  );
  expect(isCurrent(page, dependencies.slice(1))).toBe(false);
});
