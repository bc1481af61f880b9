// Holds SECURITY.md to the repository: every file that it names as a proof is there, and each door names one.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

const root = path.dirname(import.meta.dirname);
const page = readFileSync(path.join(root, "SECURITY.md"), "utf8");
const doors = page
  .split(/^### /m)
  .slice(1)
  .map((text) => ({ door: text.slice(0, text.indexOf("\n")), text }));

/** Paths in backticks and links that lead into the repository. */
const filesIn = (text: string): string[] => [
  ...[...text.matchAll(/`([\w./-]+\/[\w./-]+\.\w+)`/g)].map(([, file = ""]) => file),
  ...[...text.matchAll(/\]\(([\w./-]+)(?:#[\w-]*)?\)/g)].map(([, file = ""]) => file),
];

test("every file that is named is there", () => {
  const files = filesIn(page);
  expect(files.length).toBeGreaterThan(40);
  expect(files.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
});

test("each door names what shows that it holds", () => {
  expect(doors.length).toBeGreaterThan(10);
  for (const { door, text } of doors) expect(filesIn(text), door).not.toEqual([]);
});
