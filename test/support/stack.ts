// The whole product for a test: node, Worker and a key in a state folder of its own, on loopback. The
// built artifact of nano is shared by all suites, so that it is built once.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startStack, type Stack, type StackOptions } from "../../infra/start/stack.ts";

export const root = path.resolve(import.meta.dirname, "../..");
export const modelsDir = path.join(root, ".blip2/models");
export const samplesDir = path.join(root, "gpu-node/nano/samples");

export interface TestStack extends Stack {
  readonly stateDir: string;
  /** What node and Worker logged so far. */
  readonly lines: readonly string[];
}

export async function startTestStack(options: Partial<StackOptions> = {}): Promise<TestStack> {
  const stateDir = options.stateDir ?? (await mkdtemp(path.join(os.tmpdir(), "blip2-stack-")));
  const lines: string[] = [];
  const stack = await startStack({
    port: 0,
    modelsDir,
    say: (line) => lines.push(line),
    log: (line) => lines.push(line),
    ...options,
    stateDir,
  }).catch((error: unknown) => {
    throw new Error(`the stack did not start; it said:\n${lines.join("\n")}`, { cause: error });
  });
  return {
    ...stack,
    stateDir,
    lines,
    async stop() {
      await stack.stop();
      if (options.stateDir === undefined) await rm(stateDir, { recursive: true, force: true });
    },
  };
}
