// The embedded model's artifact for tests that need no stack around it; built once, shared by all.
import path from "node:path";
import { ensureArtifact } from "../../gpu-node/src/build/ensure-artifact.ts";
import { modelsDir, root } from "./stack.ts";

export const nanoArtifact = (): Promise<string> =>
  ensureArtifact({
    checkpoint: path.join(root, "gpu-node/nano/checkpoint"),
    root: modelsDir,
    name: "nano",
    signal: AbortSignal.timeout(120_000),
    log: () => {},
  });
