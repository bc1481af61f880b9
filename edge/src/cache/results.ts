// Results of inference, by what the picture is: partition + image_id + model_revision + parameters.
// Two tiers: the Cache API of this place in front, KV for all places behind. A tier that fails is a
// miss, never a failure of the request. What the results are is said in keys.ts. Bounded by time (ttlS);
// each is at most a node's answer long.
import { sha256Hex } from "@blip2-edge/shared/hex";
import type { z } from "zod";
import type { Partition } from "../partition.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { ResultKey } from "./keys.ts";

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
  find<Value>(
    partitions: readonly Partition[],
    key: ResultKey<Value>,
  ): Promise<{ readonly result: Value; readonly partition: Partition } | undefined>;
  store<Value>(
    partitions: readonly Partition[],
    key: ResultKey<Value>,
    result: Value,
  ): Promise<void>;
}

/** `results/<partition>/<image_id or text>/<revision>/<SHA-256 of the parameters>`. */
async function resultPath(partition: Partition, key: ResultKey<unknown>): Promise<string> {
  const parameters = await sha256Hex(canonicalJson(key.parameters));
  return `results/${partition}/${key.about}/${key.modelRevision}/${parameters}`;
}

/** A host that nothing answers; the Cache API wants URLs. */
const frontUrl = (path: string): string => `https://cache.blip2-edge.invalid/${path}`;

function parseStored<Value>(schema: z.ZodType<Value>, text: string): Value | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
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

  async function findIn<Value>(path: string, schema: z.ZodType<Value>): Promise<Value | undefined> {
    try {
      const response = await front.match(frontUrl(path));
      const stored =
        response === undefined ? undefined : parseStored(schema, await response.text());
      if (stored !== undefined) return stored;
    } catch (error) {
      onFault("front", error);
    }
    try {
      const text = await back.get(path);
      const stored = text === null ? undefined : parseStored(schema, text);
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
        const result = await findIn(await resultPath(partition, key), key.schema);
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
