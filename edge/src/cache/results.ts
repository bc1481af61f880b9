// Results of inference, by what the picture is: partition + image_id + model_revision + parameters. What the
// results are is said in keys.ts, where they lie in tiers.ts. Each is at most a node's answer long.
import { sha256Hex } from "@blip2-edge/shared/hex";
import type { Partition, Partitions } from "../partition.ts";
import { canonicalJson } from "./canonical-json.ts";
import type { ResultKey } from "./keys.ts";
import type { Purges } from "./purges.ts";
import { readStored, writeStored, type Stored } from "./stored.ts";
import type { Tiers } from "./tiers.ts";

export interface ResultCacheOptions {
  readonly tiers: Tiers;
  readonly purges: Pick<Purges, "of">;
  /** When the request began; what it stores is of that time. */
  readonly at: number;
}

export interface FoundResult<Value> extends Stored<Value> {
  readonly partition: Partition;
}

export interface ResultCache {
  /** A result from one of the partitions: the first of them in the nearest tier that has one. */
  find<Value>(
    partitions: Partitions,
    key: ResultKey<Value>,
  ): Promise<FoundResult<Value> | undefined>;
  /** `at`: since when it is known, when not since this request. */
  store<Value>(
    partitions: readonly Partition[],
    key: ResultKey<Value>,
    result: Value,
    at?: number,
  ): Promise<void>;
  placeOf(partitions: Partitions, keys: readonly ResultKey<unknown>[]): Promise<PlaceOfWork>;
}

/** Results that are computed together. */
export interface PlaceOfWork {
  /** Equal for equal work in the widest of its partitions, and for no other. */
  readonly key: string;
  /** What was known then or before is forgotten, Unix milliseconds. */
  readonly newerThan: number;
}

/** `results/<partition>/<image_id or text>/<revision>/<SHA-256 of the parameters>`. */
const pathsOf = async (
  partitions: readonly Partition[],
  key: ResultKey<unknown>,
): Promise<string[]> => {
  const parameters = await sha256Hex(canonicalJson(key.parameters));
  return partitions.map(
    (partition) => `results/${partition}/${key.about}/${key.modelRevision}/${parameters}`,
  );
};

export function resultCache({ tiers, purges, at: begunAt }: ResultCacheOptions): ResultCache {
  const purgedAtOf = async (partitions: Partitions, key: ResultKey<unknown>): Promise<number> => {
    const purgedAt = await purges.of(partitions[0]);
    return purgedAt({ imageId: key.about, modelRevision: key.modelRevision });
  };

  return {
    async find(partitions, key) {
      const paths = await pathsOf(partitions, key);
      const purgedAt = await purgedAtOf(partitions, key);
      const found = await tiers.find(paths, (text) => readStored(key.schema, text, () => purgedAt));
      const partition = partitions[paths.indexOf(found?.path ?? "")];
      if (found === undefined || partition === undefined) return undefined;
      return { ...found.value, partition };
    },
    async placeOf(partitions, keys) {
      const widest = partitions.at(-1) ?? partitions[0];
      const paths = await Promise.all(keys.map((key) => pathsOf([widest], key)));
      const moments = await Promise.all(keys.map((key) => purgedAtOf(partitions, key)));
      return { key: await sha256Hex(paths.join("\n")), newerThan: Math.max(...moments) };
    },
    async store(partitions, key, result, at = begunAt) {
      const text = writeStored({ at, value: result });
      await Promise.all((await pathsOf(partitions, key)).map((path) => tiers.put(path, text)));
    },
  };
}
