// What lies in the cache: a value, and since when it is known. The time is that at which the request began
// that made it, so that what was under way while something was forgotten is forgotten, too.
import type { z } from "zod";
import type { Purges } from "./purges.ts";
import type { Tiers } from "./tiers.ts";

/** What a book of the cache stands on, for one request. */
export interface BookSettings {
  readonly tiers: Tiers;
  readonly purges: Pick<Purges, "of">;
  /** When the request began. */
  readonly at: number;
}

export interface Stored<Value> {
  /** Unix milliseconds. */
  readonly at: number;
  readonly value: Value;
}

export const writeStored = ({ at, value }: Stored<unknown>): string =>
  JSON.stringify({ at, value });

/** Undefined for what is none, or is forgotten: it was known at `purgedAt` already. */
export function readStored<Value>(
  schema: z.ZodType<Value>,
  text: string,
  purgedAt: (value: Value) => number,
): Stored<Value> | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { at, value } = parsed as Record<string, unknown>;
  if (typeof at !== "number") return undefined;
  const known = schema.safeParse(value);
  if (!known.success || at <= purgedAt(known.data)) return undefined;
  return { at, value: known.data };
}
