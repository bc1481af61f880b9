// Callers who caption pictures that nobody has asked about before, each with its next call as soon as it has its answer,
// while something is done to the nodes; and what the Worker's log says of their calls.
import { expect } from "vitest";
import { jpeg } from "./pictures.ts";

export interface Answered {
  /** Milliseconds of one clock. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly status: number;
  /** What was answered instead of a caption. */
  readonly problem: string | undefined;
  readonly revision: string | undefined;
  readonly id: string | null;
}

export interface LoadOptions {
  /** Where the Worker is, and its log's events. */
  readonly url: string;
  readonly apiKey: string;
  readonly events: readonly Record<string, unknown>[];
  readonly callers?: number;
}

export interface Load {
  readonly calls: readonly Answered[];
  /** Calls answered so far. */
  answered(): number;
}

export interface Loader {
  /** Asks all the time until `during` is done; resolves with every call once the log has told of each. */
  whileAsked(during: (load: Load) => Promise<void>): Promise<readonly Answered[]>;
  /** Answered captions by the log so far that this node gave. */
  servedBy(url: string): number;
  figures(calls: readonly Answered[]): Record<string, unknown>;
}

let seed = 100_000;

export function steadyLoad({ url, apiKey, events, callers = 4 }: LoadOptions): Loader {
  async function ask(): Promise<Answered> {
    const data = new FormData();
    data.set("image", new Blob([new Uint8Array(await jpeg(++seed, 32))]), "p.jpg");
    const startedAt = performance.now();
    const response = await fetch(`${url}/v1/caption`, {
      method: "POST",
      headers: { authorization: `Bearer ${apiKey}` },
      body: data,
    });
    const text = await response.text();
    const { status, ok, headers } = response;
    const { model_revision: revision } = ok
      ? (JSON.parse(text) as { model_revision: string })
      : { model_revision: undefined };
    const problem = ok ? undefined : text;
    const endedAt = performance.now();
    return { startedAt, endedAt, status, problem, revision, id: headers.get("x-request-id") };
  }
  const eventsOf = (calls: readonly Answered[]): Record<string, unknown>[] => {
    const ids = new Set(calls.map(({ id }) => id));
    return events.filter((event) => ids.has(event["request_id"] as string));
  };

  return {
    async whileAsked(during) {
      const calls: Answered[] = [];
      const over = new AbortController();
      const caller = async (): Promise<void> => {
        while (!over.signal.aborted) calls.push(await ask());
      };
      const asking = Promise.all(Array.from({ length: callers }, caller));
      try {
        await Promise.race([during({ calls, answered: () => calls.length }), asking]);
      } finally {
        over.abort();
        await asking;
      }
      await expect.poll(() => eventsOf(calls).length, { timeout: 5000 }).toBe(calls.length);
      return calls;
    },
    servedBy: (node) =>
      events.filter(
        (event) =>
          event["route"] === "caption" && event["status"] === 200 && event["node"] === node,
      ).length,
    figures(calls) {
      const told = eventsOf(calls);
      const count = (field: string): number => told.filter((event) => event[field] === 1).length;
      const took = calls.map(({ startedAt, endedAt }) => endedAt - startedAt);
      return {
        requests: calls.length,
        failed: calls.filter(({ status }) => status !== 200).length,
        retried: count("node_retries"),
        hedged: count("node_hedges"),
        catalogue_asked_again: told.filter((event) => event["catalog_refreshed"] === true).length,
        slowest_ms: Math.round(Math.max(...took)),
      };
    },
  };
}
