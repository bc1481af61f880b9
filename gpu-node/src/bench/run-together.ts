// So many calls at a time, each followed by the next until all are made.
import type { Asked, NodeClient, Told } from "./node-client.ts";

export interface Together {
  /** From the first call to the last answer. */
  readonly seconds: number;
  /** In the order of the calls. */
  readonly told: readonly Told[];
}

/** Errors: the first of any call; the others then come to their ends by themselves. */
export async function runTogether(
  client: Pick<NodeClient, "infer">,
  calls: readonly Asked[],
  concurrency: number,
  signal: AbortSignal,
): Promise<Together> {
  const told: Told[] = [];
  const left = calls.entries();
  const startedAt = performance.now();
  const work = async (): Promise<void> => {
    for (const [at, call] of left) {
      signal.throwIfAborted();
      told[at] = await client.infer(call);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, calls.length) }, work));
  return { seconds: (performance.now() - startedAt) / 1000, told };
}

export const tokensOf = ({ told }: Together): number =>
  told.reduce((sum, { tokens }) => sum + tokens, 0);
