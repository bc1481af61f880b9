// The Worker's asking of nodes as it is (policy, fleet, retries, hedges), before nodes that are only a
// script: so long does a call take there at this time, or so does it fail. In virtual time.
import { AppError } from "@blip2-edge/shared/problem";
import type { InferRequest, InferResponse } from "@blip2-edge/shared/wire/protocol";
import { nodeAsker, type Question, type Reply } from "../../edge/src/nodes/ask.ts";
import { inferCall } from "../../edge/src/nodes/calls.ts";
import { ConnectionBroke, type Exchange } from "../../edge/src/nodes/exchange.ts";
import { createFleet, type Fleet } from "../../edge/src/nodes/fleet.ts";
import { heldImages } from "../../edge/src/nodes/held-images.ts";
import type { FleetPolicy } from "../../edge/src/nodes/policy.ts";
import { virtualClock, type VirtualClock } from "./virtual-clock.ts";

/** What a node does with one call. */
export type Act =
  | { readonly answersAfterMs: number }
  /** The connection breaks after so long, without a byte of answer. */
  | { readonly breaksAfterMs: number }
  | { readonly failsAfterMs: number; readonly error: AppError };

export interface ScriptedOptions {
  readonly nodes: readonly string[];
  readonly script: (node: string, at: number, random: () => number) => Act;
  readonly policy?: Partial<FleetPolicy>;
  readonly seed?: number;
  readonly deadlineMs?: number;
}

/** What became of one call in. */
export interface Served {
  readonly at: number;
  readonly tookMs: number;
  readonly reply: Reply<InferResponse> | undefined;
  readonly error: unknown;
}

export interface ScriptedFleet {
  readonly clock: VirtualClock;
  readonly fleet: Fleet;
  readonly served: readonly Served[];
  /** Calls that went out, those that check a node not counted. */
  readonly callsOut: readonly { readonly at: number; readonly node: string }[];
  readonly checks: number;
  /** Nodes that were out at any second of it. */
  readonly everOut: ReadonlySet<string>;
  /** Lets calls come in at random (Poisson) at this rate until the time, and all of them end. */
  load(callsPerS: number, untilMs: number): Promise<void>;
  /** Breaks every connection to this node now. */
  breakConnections(node: string): void;
}

/** mulberry32: numbers in [0, 1) that a seed repeats. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A latency as services have it: log-normal about its median. */
export function logNormal(medianMs: number, sigma: number, random: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return medianMs * Math.exp(sigma * normal);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

const model = {
  model: "m",
  model_revision: "0".repeat(16),
  family: "opt",
  image_size: 14,
  abilities: ["caption"],
};
const answerTo = (request: InferRequest): InferResponse => ({
  model: model.model,
  model_revision: model.model_revision,
  image_id: request.image.image_id,
  results: [
    {
      text: "a",
      token_ids: [1],
      finish_reason: "stop",
      log_prob: -1,
      usage: { image_tokens: 1, prompt_tokens: 1, completion_tokens: 1 },
    },
  ],
  vision_passes: 1,
});

export function scriptedFleet(options: ScriptedOptions): ScriptedFleet {
  const { nodes, script, deadlineMs = 30_000 } = options;
  const random = seededRandom(options.seed ?? 1);
  // Not zero: a time of nought is as good as any.
  const clock = virtualClock(1_000_000);
  const beganAt = clock.now();
  const fleet = createFleet(options.policy);
  fleet.setNodes(
    nodes.map((url) => ({ url, weight: 1, models: [model] })),
    clock.now(),
  );
  const callsOut: { at: number; node: string }[] = [];
  const connections = new Map<string, Set<() => void>>(nodes.map((url) => [url, new Set()]));
  let checks = 0;

  const exchangeWith = ({ url }: { readonly url: string }): Exchange => {
    return (request, signal) =>
      new Promise((resolve, reject) => {
        callsOut.push({ at: clock.now() - beganAt, node: url });
        const body = new TextDecoder().decode(request.body);
        const act = script(url, clock.now() - beganAt, random);
        const ms =
          "answersAfterMs" in act
            ? act.answersAfterMs
            : "breaksAfterMs" in act
              ? act.breaksAfterMs
              : act.failsAfterMs;
        const settle = (): void => {
          cancel();
          connections.get(url)?.delete(broken);
        };
        const broken = (): void => {
          settle();
          reject(new ConnectionBroke(false, new Error("reset")));
        };
        const cancel = clock.after(ms, () => {
          settle();
          if ("answersAfterMs" in act) resolve(answerTo(JSON.parse(body) as InferRequest));
          else
            reject("error" in act ? act.error : new ConnectionBroke(false, new Error("refused")));
        });
        connections.get(url)?.add(broken);
        signal.addEventListener("abort", () => {
          settle();
          reject(signal.reason as Error);
        });
      });
  };
  const ask = nodeAsker({
    fleet,
    exchangeWith,
    held: heldImages({ now: clock.now }),
    retryWaitMs: 100,
    queueMs: 2000,
    clock,
    random,
  });

  /** As the catalogue's room does with every request: nodes that are out are checked when they are due. */
  function check(): void {
    for (const { url } of fleet.checksDue(clock.now())) {
      checks += 1;
      const act = script(url, clock.now() - beganAt, random);
      if ("answersAfterMs" in act) {
        clock.after(act.answersAfterMs, () => fleet.checked(url, [model], clock.now()));
      }
    }
  }

  const everOut = new Set<string>();
  const look = (): void => {
    for (const { url, out } of fleet.state(clock.now())) if (out !== undefined) everOut.add(url);
    clock.after(1000, look);
  };
  look();

  const served: Served[] = [];
  async function call(): Promise<void> {
    const startedAt = clock.now();
    const controller = new AbortController();
    const stop = clock.after(deadlineMs, () =>
      controller.abort(new AppError("deadline_exceeded", "too late")),
    );
    const digits = Array.from({ length: 8 }, () => Math.floor(random() * 16).toString(16)).join("");
    const question: Question<InferRequest> = {
      request: (deadline_ms) => ({
        model: model.model,
        model_revision: model.model_revision,
        partition: "0".repeat(32),
        image: { image_id: `img_${digits.repeat(8)}`, size: 14 },
        texts: [null],
        generation: {},
        deadline_ms,
      }),
      remainingMs: () => startedAt + deadlineMs - clock.now(),
    };
    check();
    const about = { at: startedAt - beganAt };
    try {
      const reply = await ask(inferCall, question, controller.signal);
      served.push({ ...about, tookMs: clock.now() - startedAt, reply, error: undefined });
    } catch (error) {
      served.push({ ...about, tookMs: clock.now() - startedAt, reply: undefined, error });
    } finally {
      stop();
    }
  }

  return {
    clock,
    fleet,
    served,
    callsOut,
    everOut,
    get checks() {
      return checks;
    },
    async load(callsPerS, untilMs) {
      const end = beganAt + untilMs;
      const next = (): void => {
        if (clock.now() >= end) return;
        void call();
        clock.after((-1000 * Math.log(1 - random())) / callsPerS, next);
      };
      next();
      await clock.runUntil(end + deadlineMs);
    },
    breakConnections(node) {
      for (const breakNow of connections.get(node) ?? []) breakNow();
    },
  };
}
