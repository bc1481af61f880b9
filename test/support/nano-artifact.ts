// The embedded models' artifacts for tests that need no stack around them; built once, shared by all.
import path from "node:path";
import { ensureArtifact } from "../../gpu-node/src/build/ensure-artifact.ts";
import type { PrecisionName } from "../../gpu-node/src/quantize/recipe.ts";
import { modelsDir, root } from "./stack.ts";

const embedded =
  (folder: string, name: string) =>
  (precision?: PrecisionName): Promise<string> =>
    ensureArtifact({
      checkpoint: path.join(root, "gpu-node/nano", folder),
      root: modelsDir,
      name,
      ...(precision === undefined ? {} : { precision }),
      signal: AbortSignal.timeout(120_000),
      log: () => {},
    });

export const nanoArtifact = embedded("checkpoint", "nano");
/** The one that compares. */
export const nanoItmArtifact = embedded("retrieval", "nano-itm");
