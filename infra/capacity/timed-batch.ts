// The decode batch of a model that only takes time: who joins waits for the prefill, every step takes as long as its rows
// do, and a member leaves when it has the tokens that were drawn for it.
import type {
  PreparedRow,
  Progress,
  RunningBatch,
} from "../../gpu-node/src/generate/running-batch.ts";
import { type NodeProfile, timeAt } from "./node-profile.ts";

export interface TimedModelOptions {
  readonly profile: NodeProfile;
  readonly sleep: (ms: number) => Promise<void>;
  /** Tokens of the answer about a picture, `mark` in 0..1, to a question. */
  readonly tokensOf: (mark: number, text: string | null) => number;
}

interface Member<Key> {
  readonly key: Key;
  readonly prepared: PreparedRow;
  readonly length: number;
  made: number;
}

export function timedBatch<Key>({
  profile,
  sleep,
  tokensOf,
}: TimedModelOptions): RunningBatch<Key> {
  let members: Member<Key>[] = [];
  const rowsOf = (some: readonly Member<Key>[]): number =>
    some.reduce((sum, { prepared }) => sum + prepared.width, 0);
  /** How each stands; who is done has left. */
  const settle = (some: readonly Member<Key>[]): Progress<Key>[] => {
    members = members.filter(({ made, length }) => made < length);
    return some.map(({ key, made, length }): Progress<Key> => {
      const ids = Array.from({ length: Math.min(made, length) }, () => 1);
      if (made < length) return { key, ids };
      const found = { tokenIds: ids, finishReason: "stop" as const, logProb: -1 };
      return { key, ids, done: { sequences: [found], notes: [] } };
    });
  };
  return {
    get rows() {
      return rowsOf(members);
    },
    get bytes() {
      return members.reduce((sum, { prepared }) => sum + prepared.bytes, 0);
    },
    get keys() {
      return members.map(({ key }) => key);
    },
    async join(entries) {
      const longest = Math.max(
        ...entries.map(({ prepared }) => profile.image_tokens + prepared.row.textIds.length),
      );
      await sleep(timeAt(profile.prefill_ms, longest * entries.length));
      const joined = entries.map(({ key, prepared }): Member<Key> => {
        const { max_new_tokens: most } = prepared.limits.generation;
        const { prefix, textIds } = prepared.row;
        const text = textIds.length === 1 ? null : "a".repeat(textIds.length);
        return { key, prepared, length: Math.min(most, tokensOf(prefix[0] ?? 0, text)), made: 1 };
      });
      members.push(...joined);
      return settle(joined);
    },
    async run(maxSteps) {
      const running = [...members];
      const longest = Math.max(...running.map(({ made, length }) => length - made));
      const steps = Math.min(maxSteps, longest);
      await sleep(steps * timeAt(profile.step_ms, rowsOf(running)));
      for (const member of running) member.made = Math.min(member.length, member.made + steps);
      return settle(running.filter((member) => members.includes(member)));
    },
    remove(keys) {
      members = members.filter(({ key }) => !keys.includes(key));
    },
  };
}
