// What a model says on a provider, asked of a process of its own: its environment decides which driver there is,
// and a bad driver takes no test with it. The child's program is provider-process.ts.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Placement } from "../../gpu-node/src/runtime/placement.ts";
import type { ProviderName } from "../../gpu-node/src/runtime/providers.ts";

export interface Question {
  readonly artifact: string;
  readonly provider: ProviderName;
  readonly picture: string;
  /** Of a batch: null is the plain caption. For a retrieval model, what the picture is compared with. */
  readonly texts: readonly (string | null)[];
  readonly maxNewTokens: number;
  /** Whether to tell what ran where; the runs are slower for it. */
  readonly placements: boolean;
}

export interface Answer {
  /** Flat; the Q-Former's output as the rest of the model reads it. */
  readonly projected: Float32Array;
  readonly generated: readonly { readonly ids: readonly number[]; readonly logProb: number }[];
  readonly matches: readonly { readonly itm: number; readonly itc: number }[];
  /** Of the first text's vector. */
  readonly textVector: Float32Array | null;
  /** By graph. */
  readonly placements: Readonly<Record<string, Placement>>;
}

/** What the child sends for every question. */
export type Reply = { readonly answer: Answer } | { readonly error: string };

export interface ProviderProcess {
  /** One at a time. Errors: what the child met, or how it ended. */
  ask(question: Question): Promise<Answer>;
  end(): void;
}

const program = fileURLToPath(new URL("./provider-process.ts", import.meta.url));

export function startProviderProcess(
  env: Readonly<Record<string, string | undefined>>,
): ProviderProcess {
  const child = fork(program, [], {
    env: { ...env },
    execArgv: [],
    serialization: "advanced",
    stdio: ["ignore", 2, 2, "ipc"],
  });
  const ended = once(child, "exit").then(([code, signal]) => {
    throw new Error(`the process that ran the models ended: ${String(signal ?? code)}`);
  });
  ended.catch(() => {});
  return {
    async ask(question) {
      child.send(question);
      const [reply] = (await Promise.race([once(child, "message"), ended])) as [Reply];
      if ("error" in reply) throw new Error(reply.error);
      return reply.answer;
    },
    end: () => void child.kill("SIGKILL"),
  };
}
