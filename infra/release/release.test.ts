// A release is made in a copy of what says its version, and checked; each check has been wrong once.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import packageFile from "../../package.json" with { type: "json" };
import { checks } from "./checks.ts";
import { nameChanges, setVersion, statedVersions } from "./versions.ts";

const root = path.resolve(import.meta.dirname, "../..");
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** What of the repository says which version it is. */
function copied(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "blip2-release-"));
  folders.push(folder);
  const files = [
    ...["", "edge", "gpu-node", "mcp-server", "shared"].map((at) => path.join(at, "package.json")),
    ...["package-lock.json", "CHANGELOG.md", "docs/operate.md", "infra/node", "edge/migrations"],
  ];
  for (const file of files) {
    cpSync(path.join(root, file), path.join(folder, file), { recursive: true });
  }
  return folder;
}
const faultsOf = (what: string, folder: string, version: string): readonly string[] => {
  const check = checks.find((one) => one.what === what);
  if (check === undefined) throw new Error(`no check of ${what}`);
  return check.faults(folder, version);
};
const edit = (folder: string, file: string, change: (text: string) => string): void => {
  const at = path.join(folder, file);
  writeFileSync(at, change(readFileSync(at, "utf8")));
};

test("this tree says one version, whatever is not released yet", () => {
  expect(faultsOf("one version everywhere", root, packageFile.version)).toEqual([]);
  expect(faultsOf("migrations and their way back", root, packageFile.version)).toEqual([]);
  // Goldens need to be today's when a release is made, and not between two.
});

test("another version is said in every place, and nothing else is touched", () => {
  const folder = copied();
  const before = statedVersions(folder);
  expect(before.length).toBeGreaterThan(20);
  setVersion(folder, "12.34.56");
  expect(statedVersions(folder)).toEqual(
    before.map(({ where }) => ({ where, version: "12.34.56" })),
  );
  expect(faultsOf("one version everywhere", folder, "12.34.56")).toEqual([]);
  setVersion(folder, packageFile.version);
  for (const file of [
    "package-lock.json",
    "package.json",
    "edge/package.json",
    "docs/operate.md",
  ]) {
    expect(readFileSync(path.join(folder, file), "utf8"), file).toBe(
      readFileSync(path.join(root, file), "utf8"),
    );
  }
  expect(() => setVersion(folder, "1.2")).toThrow(RangeError);
});

test("a place that was forgotten is named", () => {
  const folder = copied();
  edit(folder, "edge/package.json", (text) =>
    text.replace(/("@blip2-edge\/shared": )"[^"]*"/, '$1"0.0.1"'),
  );
  expect(faultsOf("one version everywhere", folder, packageFile.version)).toEqual([
    `edge/package.json, @blip2-edge/shared says 0.0.1, not ${packageFile.version}`,
  ]);
});

test("the changelog names the release and its day, once there is one", () => {
  const folder = copied();
  edit(folder, "CHANGELOG.md", (text) => text.replace(/^## .*$/m, "## Unreleased"));
  expect(faultsOf("CHANGELOG.md", folder, "1.2.3")).toHaveLength(1);
  nameChanges(folder, "1.2.3", "2027-01-31");
  expect(faultsOf("CHANGELOG.md", folder, "1.2.3")).toEqual([]);
  expect(faultsOf("CHANGELOG.md", folder, "1.2.4")).toHaveLength(1);
  expect(() => nameChanges(folder, "1.2.4", "2027-01-31")).toThrow(RangeError);
});

test("a migration without its way back, and a release without its goldens, are none", () => {
  const folder = copied();
  writeFileSync(path.join(folder, "edge/migrations/9999_new.sql"), "");
  expect(faultsOf("migrations and their way back", folder, "1.2.3")).toEqual([
    "edge/migrations/down/9999_new.sql is missing",
  ]);
  expect(faultsOf("the golden of the protocol", folder, "1.2.3")).toHaveLength(1);
  expect(faultsOf("the golden of Durable Objects", folder, "1.2.3")).toHaveLength(1);
});
