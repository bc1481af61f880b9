// Results of inference, by what the picture is: partition + image_id + model_revision + parameters.
// Two tiers: the Cache API of this place in front, KV for all places behind. A tier that fails is a
// miss, never a failure of the request.
import { moreOfAnswer } from "@blip2-edge/shared/contracts/generation";
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { sha256Hex } from "@blip2-edge/shared/hex";
import { inferResultSchema } from "@blip2-edge/shared/wire/protocol";
import type { z } from "zod";
import type { Partition } from "../partition.ts";
import { canonicalJson } from "./canonical-json.ts";

/** What is kept of an inference: all that an answer needs, nothing about who asked. */
export const storedResultSchema = inferResultSchema
  .pick({ text: true, finish_reason: true, log_prob: true, usage: true, notes: true })
  .extend({ sequences: moreOfAnswer.sequences });
export type StoredResult = z.infer<typeof storedResultSchema>;

/** Everything that decides a result, but the partition. */
export interface ResultKey {
  readonly imageId: ImageId;
  readonly modelRevision: string;
  /** As the model gets it, template applied; null for a plain caption. */
  readonly text: string | null;
  /** Generation parameters with every default filled in. */
  readonly generation: Readonly<Record<string, unknown>>;
}

/** What this room needs of the Cache API. */
export interface FrontTier {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
}

/** What this room needs of KV. */
export interface BackTier {
  get(key: string): Promise<string | null>;
  put(key: string, value: string, options: { expirationTtl: number }): Promise<void>;
}

export interface ResultCacheOptions {
  readonly front: FrontTier;
  readonly back: BackTier;
  readonly ttlS: number;
  /** Work that may outlast the answer. */
  readonly later: (work: Promise<unknown>) => void;
  readonly onFault: (tier: "front" | "back", error: unknown) => void;
}

export interface ResultCache {
  /** The first hit in the order of `partitions`. */
  find(
    partitions: readonly Partition[],
    key: ResultKey,
  ): Promise<{ readonly result: StoredResult; readonly partition: Partition } | undefined>;
  store(partitions: readonly Partition[], key: ResultKey, result: StoredResult): Promise<void>;
}

/** `results/<partition>/<image_id>/<revision>/<SHA-256 of the parameters>`. */
async function resultPath(partition: Partition, key: ResultKey): Promise<string> {
  const parameters = await sha256Hex(canonicalJson({ text: key.text, generation: key.generation }));
  return `results/${partition}/${key.imageId}/${key.modelRevision}/${parameters}`;
}

/** A host that nothing answers; the Cache API wants URLs. */
const frontUrl = (path: string): string => `https://cache.blip2-edge.invalid/${path}`;

function parseStored(text: string): StoredResult | undefined {
  try {
    return storedResultSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export function resultCache(options: ResultCacheOptions): ResultCache {
  const { front, back, ttlS, later, onFault } = options;

  const putFront = (path: string, body: string): Promise<void> =>
    front
      .put(
        frontUrl(path),
        new Response(body, {
          headers: { "content-type": "application/json", "cache-control": `max-age=${ttlS}` },
        }),
      )
      .catch((error: unknown) => onFault("front", error));

  async function findIn(path: string): Promise<StoredResult | undefined> {
    try {
      const response = await front.match(frontUrl(path));
      const stored = response === undefined ? undefined : parseStored(await response.text());
      if (stored !== undefined) return stored;
    } catch (error) {
      onFault("front", error);
    }
    try {
      const text = await back.get(path);
      const stored = text === null ? undefined : parseStored(text);
      if (text !== null && stored !== undefined) later(putFront(path, text));
      return stored;
    } catch (error) {
      onFault("back", error);
      return undefined;
    }
  }

  return {
    async find(partitions, key) {
      for (const partition of partitions) {
        const result = await findIn(await resultPath(partition, key));
        if (result !== undefined) return { result, partition };
      }
      return undefined;
    },
    async store(partitions, key, result) {
      const body = JSON.stringify(result);
      await Promise.all(
        partitions.map(async (partition) => {
          const path = await resultPath(partition, key);
          // The front tier at once, so that the next request here hits; KV may take its time.
          later(
            back
              .put(path, body, { expirationTtl: ttlS })
              .catch((error: unknown) => onFault("back", error)),
          );
          await putFront(path, body);
        }),
      );
    },
  };
}
