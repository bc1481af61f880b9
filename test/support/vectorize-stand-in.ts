// A Vectorize index in memory, with the limits, refusals and delays of the real one: a write is a mutation in a log, and
// nothing shows it before the test says that it is processed. Its search is exact, which the real one's is not.
import { randomUUID } from "node:crypto";
import type { OutsideVector, VectorIndex } from "../../edge/src/search/vectorize.ts";

type Operation = keyof VectorIndex;

export interface VectorizeStandIn extends VectorIndex {
  /** Shows the oldest mutations, so many or all; how many it were. */
  process(most?: number): number;
  /** Called before an operation; what it throws or never answers is what the caller gets. */
  interfere: ((operation: Operation) => void | Promise<void>) | undefined;
  /** Called when an operation is done, before it answers. */
  afterwards: ((operation: Operation) => void | Promise<void>) | undefined;
  /** Mutations show at once; default false. */
  immediate: boolean;
  /** What it holds, also of what is not processed. */
  ids(): string[];
  /** What a query would find. */
  shown(): OutsideVector[];
  /** Calls so far of each operation. */
  readonly calls: Readonly<Record<Operation, number>>;
}

/** As documented; of ids, as the service says when it refuses. */
const limits = {
  idBytes: 64,
  topK: 100,
  /** With values or all metadata. The service takes up to 50. */
  topKWithMore: 20,
  upsert: 1000,
  deleteByIds: 100,
  getByIds: 20,
} as const;

/** As the binding words it. The codes are those that the service has been seen to give. */
const refusal = (operation: string, code: number, why: string): Error =>
  new Error(`${operation}_ERROR (code = ${code}): ${why}`);
export const tooManyRequests = (): Error => refusal("VECTOR_UPSERT", 40041, "Too Many Requests");

const bytes = (text: string): number => Buffer.byteLength(text);
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
const cosine = (a: readonly number[], b: readonly number[]): number =>
  dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b) || 1);

interface Mutation {
  readonly id: string;
  apply(shown: Map<string, OutsideVector>): void;
}

export function vectorizeStandIn(dimensions: number): VectorizeStandIn {
  const shown = new Map<string, OutsideVector>();
  const log: Mutation[] = [];
  let processedUpTo: string | null = null;
  const calls: Record<Operation, number> = {
    ...{ query: 0, upsert: 0, deleteByIds: 0, getByIds: 0, describe: 0 },
  };

  async function during<Result>(operation: Operation, work: () => Result): Promise<Result> {
    calls[operation] += 1;
    await standIn.interfere?.(operation);
    const result = work();
    await standIn.afterwards?.(operation);
    return result;
  }
  function write(apply: Mutation["apply"]): { readonly mutationId: string } {
    const id = randomUUID();
    log.push({ id, apply });
    if (standIn.immediate) standIn.process();
    return { mutationId: id };
  }
  function checkIds(operation: string, ids: readonly string[], most: number): void {
    if (ids.length > most) {
      const why = `too many ids in payload; max id count is ${most}, got ${ids.length}`;
      throw refusal(operation, 40007, why);
    }
    for (const id of ids) {
      if (bytes(id) <= limits.idBytes) continue;
      throw refusal(operation, 40008, `id too long; max is 64 bytes, got ${bytes(id)} bytes`);
    }
  }

  const standIn: VectorizeStandIn = {
    interfere: undefined,
    afterwards: undefined,
    immediate: false,
    calls,
    process(most = Infinity) {
      const now = log.splice(0, Math.min(most, log.length));
      for (const { id, apply } of now) {
        apply(shown);
        processedUpTo = id;
      }
      return now.length;
    },
    ids() {
      const all = new Map(shown);
      for (const { apply } of log) apply(all);
      return [...all.keys()];
    },
    shown: () => [...shown.values()],

    query: (vector, { topK, namespace, returnValues, returnMetadata }) =>
      during("query", () => {
        const isMore = returnValues || returnMetadata === "all";
        const most = isMore ? limits.topKWithMore : limits.topK;
        if (topK > most) {
          throw refusal("VECTOR_QUERY", 40025, `max top K is ${most}, but got ${topK}`);
        }
        if (vector.length !== dimensions) {
          const why = `invalid query vector, expected ${dimensions} dimensions, and got ${vector.length} dimensions`;
          throw refusal("VECTOR_QUERY", 40006, why);
        }
        const matches = [...shown.values()]
          .filter((each) => each.namespace === namespace)
          .map(({ id, values }) => ({ id, score: cosine(vector, values) }))
          .toSorted((a, b) => b.score - a.score)
          .slice(0, topK);
        return { count: matches.length, matches };
      }),
    upsert: (vectors) =>
      during("upsert", () => {
        checkIds(
          "VECTOR_UPSERT",
          vectors.map(({ id }) => id),
          limits.upsert,
        );
        for (const { values, namespace } of vectors) {
          if (values.length !== dimensions) {
            const why = `invalid vector, expected ${dimensions} dimensions, and got ${values.length} dimensions`;
            throw refusal("VECTOR_UPSERT", 40012, why);
          }
          if (bytes(namespace) > limits.idBytes) {
            throw refusal("VECTOR_UPSERT", 40009, "namespace too long; max is 64 bytes");
          }
        }
        return write((into) => {
          for (const vector of vectors) into.set(vector.id, vector);
        });
      }),
    deleteByIds: (ids) =>
      during("deleteByIds", () => {
        checkIds("VECTOR_DELETE", ids, limits.deleteByIds);
        return write((from) => {
          for (const id of ids) from.delete(id);
        });
      }),
    getByIds: (ids) =>
      during("getByIds", () => {
        checkIds("VECTOR_GET", ids, limits.getByIds);
        return ids.flatMap((id) => shown.get(id) ?? []);
      }),
    describe: () =>
      during("describe", () => ({
        dimensions,
        vectorCount: shown.size,
        processedUpToMutation: processedUpTo,
      })),
  };
  return standIn;
}
