// Runs scenarios of the official conformance suite in a process of its own, and reads what it wrote of each check.
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";

interface Check {
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  readonly errorMessage?: string;
}

/** Of each scenario what it found wrong; nothing: it passes. */
export type Verdicts = Readonly<Record<string, readonly string[]>>;

const { resolve } = createRequire(import.meta.url);
const main = path.join(
  path.dirname(resolve("@modelcontextprotocol/conformance/package.json")),
  "dist/index.js",
);

/** `choice`: `--requirements REVISION`, or `--scenario NAME --spec-version REVISION`. */
export async function runSuite(url: string, choice: readonly string[]): Promise<Verdicts> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "blip2-conformance-"));
  try {
    const args = [main, "server", "--url", url, "--output-dir", folder, ...choice];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const folders = await readdir(folder);
    if (folders.length === 0) throw new Error(`the suite ran nothing:\n${out}\n${err}`);
    return Object.fromEntries(
      await Promise.all(
        folders.map(async (name) => {
          const file = path.join(folder, name, "checks.json");
          const checks = JSON.parse(await readFile(file, "utf8")) as Check[];
          return [scenarioOf(name), faultsOf(checks)] as const;
        }),
      ),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** `server-SCENARIO-2026-11-30T01-02-03-004Z` */
const scenarioOf = (folder: string): string =>
  folder.replace(/^server-/, "").replace(/-\d{4}-\d{2}-\d{2}T[\d-]+Z$/, "");

/** A warning is one of them, and so is a scenario in which nothing was right. */
function faultsOf(checks: readonly Check[]): string[] {
  const faults = checks
    .filter(({ status }) => status === "FAILURE" || status === "WARNING")
    .map(({ id, errorMessage = "" }) => `${id}: ${errorMessage}`);
  const isEmpty = !checks.some(({ status }) => status === "SUCCESS");
  return faults.length === 0 && isEmpty ? ["no check passed"] : faults;
}
