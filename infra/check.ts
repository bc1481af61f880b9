// `npm run check`: everything that can be said of the sources without running them, each tool once,
// all of them even when one fails. The last line is the verdict.
import { spawn } from "node:child_process";
import path from "node:path";
import { checkImports } from "./imports.ts";
import { checkLicences } from "./licences.ts";
import { checkLogPages } from "./observe/log-pages.ts";

const root = path.dirname(import.meta.dirname);

function tool(name: string, args: readonly string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(path.join(root, "node_modules", ".bin", name), args, {
      cwd: root,
      stdio: "inherit",
    });
    child.on("error", (error) => {
      console.error(`${name}: ${error.message}`);
      resolve(false);
    });
    child.on("exit", (code) => resolve(code === 0));
  });
}

const steps: readonly (readonly [string, () => Promise<boolean>])[] = [
  ["format", () => tool("oxfmt", ["--check", "."])],
  ["lint", () => tool("oxlint", ["--type-aware", "--deny-warnings"])],
  ["types", () => tool("tsc", ["-p", "tsconfig.json"])],
  ["types of the Worker", () => tool("tsc", ["-p", "edge/tsconfig.json"])],
  ["types of the page", () => tool("tsc", ["-p", "edge/page/tsconfig.json"])],
  ["dead code", () => tool("knip", [])],
  ["imports", () => checkImports(root)],
  ["pages about the log", () => checkLogPages(root)],
  ["licences", async () => checkLicences(root)],
];

const failed: string[] = [];
for (const [name, step] of steps) {
  if (!(await step())) failed.push(name);
  console.log(`${failed.includes(name) ? "failed" : "ok    "}  ${name}`);
}
if (failed.length > 0) console.log(`check failed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
