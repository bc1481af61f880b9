// The import check on small houses of its own: which arrows it lets through and which it names.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { checkImports } from "./imports.ts";

let root: string;
let faults: string[];
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "imports-"));
  faults = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void faults.push(line));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(root, { recursive: true });
});

/** A house in which every file of gpu-node/src imports the one behind it. */
async function house(files: Readonly<Record<string, string | null>>): Promise<boolean> {
  for (const [file, imported] of Object.entries(files)) {
    const place = path.join(root, "gpu-node/src", file);
    await mkdir(path.dirname(place), { recursive: true });
    await writeFile(place, imported === null ? "" : `import "../${imported}";\n`);
  }
  return checkImports(root);
}

const rooms = {
  "cli/a.ts": null,
  "verify/a.ts": null,
  "build/a.ts": null,
  "runtime/a.ts": null,
  "hub/a.ts": null,
  "artifact/a.ts": null,
};

test.each([
  ["cli/b.ts", "verify/a.ts"],
  ["verify/b.ts", "build/a.ts"],
  ["verify/b.ts", "runtime/a.ts"],
  ["verify/b.ts", "artifact/a.ts"],
  ["build/b.test.ts", "runtime/a.ts"],
])("%s may import %s", async (file, imported) => {
  expect(await house({ ...rooms, [file]: imported })).toBe(true);
  expect(faults).toEqual([]);
});

test.each([
  ["build/b.ts", "verify/a.ts", "node-build", "node-verify"],
  ["runtime/b.ts", "verify/a.ts", "node-serve", "node-verify"],
  ["artifact/b.ts", "verify/a.ts", "node-hall", "node-verify"],
  ["verify/b.ts", "cli/a.ts", "node-verify", "node-cli"],
  ["verify/b.ts", "hub/a.ts", "node-verify", "node-hub"],
  ["build/b.ts", "runtime/a.ts", "node-build", "node-serve"],
  ["runtime/b.ts", "build/a.ts", "node-serve", "node-build"],
])("%s may not import %s", async (file, imported, from, to) => {
  expect(await house({ ...rooms, [file]: imported })).toBe(false);
  expect(faults).toEqual([
    `gpu-node/src/${file} (${from}) imports gpu-node/src/${imported} (${to}): the arrow points up`,
  ]);
});

test("a cycle is named", async () => {
  expect(await house({ "verify/a.ts": "verify/b.ts", "verify/b.ts": "verify/a.ts" })).toBe(false);
  expect(faults).toHaveLength(1);
  expect(faults[0]).toMatch(/^import cycle: .*verify\/a\.ts -> .*verify\/b\.ts/);
});
