// `npm run eval:nano -- --seed N [--scenes N] [--precision int4] [--json FILE]`: brings up the stack, measures the
// embedded models through the Worker's HTTP API on fresh scenes, prints the table and fails below the gates.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { spawn } from "node:child_process";
import { type PrecisionName, precisions } from "../gpu-node/src/quantize/recipe.ts";
import { startStack } from "./start/stack.ts";

const root = path.dirname(import.meta.dirname);
const say = (line: string) => process.stderr.write(`${line}\n`);
/** `--precision NAME` is for the stack, all else for the exam. */
function takePrecision(args: readonly string[]): [PrecisionName, string[]] {
  const at = args.indexOf("--precision");
  if (at < 0) return ["fp32", [...args]];
  const precision = precisions.find((name) => name === args[at + 1]);
  if (precision === undefined) {
    say(`--precision is one of ${precisions.join(", ")}`);
    process.exit(2);
  }
  return [precision, [...args.slice(0, at), ...args.slice(at + 2)]];
}
const [precision, examArgs] = takePrecision(process.argv.slice(2));
const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-eval-"));
try {
  const stack = await startStack({
    stateDir,
    port: 0,
    modelsDir: path.join(root, ".blip2/models"),
    say,
    log: () => {},
    precision,
  });
  try {
    process.exitCode = await new Promise<number>((resolve, reject) => {
      const child = spawn(
        process.execPath,
        [
          path.join(root, "gpu-node/nano/evaluate/main.ts"),
          "--url",
          stack.url,
          "--key",
          stack.apiKey,
          ...examArgs,
        ],
        { stdio: "inherit" },
      );
      child.on("error", reject);
      child.on("exit", (code) => resolve(code ?? 1));
    });
  } finally {
    await stack.stop();
  }
} finally {
  await rm(stateDir, { recursive: true, force: true });
}
