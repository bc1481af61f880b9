// The vision tower of an artifact, and one of it for all artifacts that have the same: a ViT is the largest
// part of a retrieval model and a good part of any, and a picture that two models are asked about is
// looked at once.
import { createHash } from "node:crypto";
import type { Manifest } from "../artifact/manifest.ts";
import type { Artifact } from "../artifact/open-artifact.ts";
import { createPixelValues } from "../tensor/pixel-values.ts";
import type { FloatTensor } from "../tensor/tensor.ts";
import { output } from "./decoder-tensors.ts";
import { openGraph } from "./open-graph.ts";
import type { SessionOptions } from "./ort.ts";

export interface VisionTower {
  /** Equal for towers that make the same numbers of the same pixels. */
  readonly key: string;
  /** u8 [S, S, 3] -> f32 [1, 3, S, S] */
  pixelValues(rgb: Uint8Array): FloatTensor;
  /** f32 [batch, 3, S, S] -> image_embeds f32 [batch, patches + 1, visionHidden] */
  vision(pixelValues: FloatTensor): Promise<FloatTensor>;
  /** To be called once by everyone who opened it. */
  release(): Promise<void>;
}

/** Weights, graph (which has sizes, norms and precision in it) and how pixels are prepared. */
export function visionKey(manifest: Manifest): string {
  const { source, precision, image, graphs, files } = manifest;
  const parts = [
    source.parts["vision"],
    files[graphs.vision.file]?.sha256,
    precision.parts["vision"],
    [image.size, image.rescale_factor, image.mean, image.std],
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

export interface VisionTowers {
  /** Opens a session, or hands out the one that is open. Errors: those of openSession. */
  open(artifact: Artifact, options: SessionOptions): Promise<VisionTower>;
}

export function createVisionTowers(): VisionTowers {
  const shared = new Map<string, { readonly tower: VisionTower; users: number }>();
  return {
    async open(artifact, options) {
      const { manifest } = artifact;
      const key = visionKey(manifest);
      let entry = shared.get(key);
      if (entry === undefined) {
        const session = await openGraph(artifact, "vision", options);
        const tower: VisionTower = {
          key,
          pixelValues: createPixelValues(manifest.image),
          vision: async (input) =>
            output(await session.run({ pixel_values: input }), "image_embeds"),
          release: () => session.release(),
        };
        entry = { tower, users: 0 };
        shared.set(key, entry);
      }
      const held = entry;
      held.users += 1;
      return {
        ...held.tower,
        async release() {
          held.users -= 1;
          if (held.users > 0) return;
          shared.delete(key);
          await held.tower.release();
        },
      };
    },
  };
}
