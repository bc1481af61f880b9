// `npm run eval:nano -- --seed N [--scenes N] [--json FILE]`: brings up the stack, measures the embedded
// model through the Worker's HTTP API on fresh scenes, prints the table and fails below the gates.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { spawn } from "node:child_process";
import { startStack } from "./start/stack.ts";

const root = path.dirname(import.meta.dirname);
const say = (line: string) => process.stderr.write(`${line}\n`);
const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-eval-"));
try {
  const stack = await startStack({
    stateDir,
    port: 0,
    modelsDir: path.join(root, ".blip2/models"),
    say,
    log: () => {},
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
          ...process.argv.slice(2),
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
