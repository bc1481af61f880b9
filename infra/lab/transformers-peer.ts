// The reference implementation as a peer of a bench: test/bench/transformers_peer.py under a Python that has torch
// and transformers, on the checkpoint that the artifact was built from.
import path from "node:path";
import { z } from "zod";
import type { PeerRow } from "../../gpu-node/src/bench/report.ts";
import { measureProcess } from "./measure-process.ts";

const script = path.resolve(import.meta.dirname, "../../test/bench/transformers_peer.py");
export const peerTypes = ["float32", "bfloat16"] as const;

const rowSchema = z.object({
  dtype: z.string(),
  images: z.int(),
  new_tokens: z.int(),
  vision_seconds: z.number(),
  caption_seconds: z.number(),
});

export interface PeerSettings {
  readonly python: string;
  readonly checkpoint: string;
  readonly dtype: (typeof peerTypes)[number];
  readonly images: readonly number[];
  readonly newTokens: number;
  readonly threads: number;
  readonly repeats: number;
}

/** Errors: one with the script's own words when it does not come to its end. */
export async function runPeer(settings: PeerSettings): Promise<PeerRow[]> {
  const { python, checkpoint, dtype, images, newTokens, threads, repeats } = settings;
  const { stdout } = await measureProcess(python, [
    script,
    checkpoint,
    ...["--dtype", dtype, "--images", ...images.map(String)],
    ...["--new-tokens", String(newTokens)],
    ...["--threads", String(threads), "--repeats", String(repeats)],
  ]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const row = rowSchema.parse(JSON.parse(line));
      return {
        dtype: row.dtype,
        images: row.images,
        newTokens: row.new_tokens,
        visionSeconds: row.vision_seconds,
        captionSeconds: row.caption_seconds,
      };
    });
}
