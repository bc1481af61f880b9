// Whatever nodes do: every call ends, no more than two nodes hear of it, and nothing is left behind.
import { AppError } from "@blip2-edge/shared/problem";
import type { EmbedRequest } from "@blip2-edge/shared/wire/protocol";
import { writeEmbedding } from "@blip2-edge/shared/wire/embedding";
import fc from "fast-check";
import { expect, test } from "vitest";
import { virtualClock } from "../../../test/support/virtual-clock.ts";
import { nodeAsker, type Question } from "./ask.ts";
import { embedCall } from "./calls.ts";
import { ConnectionBroke } from "./exchange.ts";
import { createFleet } from "./fleet.ts";
import { heldImages } from "./held-images.ts";

const deadlineMs = 5000;
const about = { model: "m", model_revision: "0".repeat(16) };
const node = { ...about, family: "retrieval", image_size: 14, abilities: ["embed"] };
const picture = {
  partition: "0".repeat(32),
  image: { image_id: `img_${"a".repeat(64)}`, size: 14 },
  features: "projected" as const,
};
const answer = { ...about, embeddings: [writeEmbedding([1, 2], [1, 2])], vision_passes: 0 };

const failure = fc.constantFrom<Error>(
  new ConnectionBroke(false, new Error("refused")),
  new ConnectionBroke(true, new Error("reset")),
  new AppError("engine_restarted", ""),
  new AppError("overloaded", "", { retryAfterS: 1 }),
  new AppError("pixels_required", ""),
  new AppError("revision_mismatch", ""),
  new AppError("poison_request", ""),
  new AppError("node_protocol", ""),
);
const act = fc.record({
  afterMs: fc.integer({ min: 1, max: 8000 }),
  failure: fc.option(failure, { nil: undefined, freq: 2 }),
});
const calls = fc.array(
  fc.record({ pauseMs: fc.nat(400), leavesAfterMs: fc.option(fc.nat(3000), { nil: undefined }) }),
  { minLength: 1, maxLength: 40 },
);

test("every call ends in its time, with at most two nodes, and all that was begun is ended", async () => {
  await fc.assert(
    fc.asyncProperty(calls, fc.array(act, { minLength: 1, maxLength: 60 }), async (all, acts) => {
      const clock = virtualClock(1000);
      const fleet = createFleet({ hedgeShare: 0.5, hedgeVolume: 3, maxInFlight: 4 });
      fleet.setNodes(
        ["http://a", "http://b", "http://c"].map((url) => ({ url, weight: 1, models: [node] })),
        1000,
      );
      const perCall: string[][] = [];
      let at = 0;
      const ask = nodeAsker({
        fleet,
        held: heldImages({ now: clock.now }),
        ...{ retryWaitMs: 50, queueMs: 1000, clock },
        exchangeWith:
          ({ url }) =>
          (request, signal) =>
            new Promise((resolve, reject) => {
              const body = new TextDecoder().decode(request.body);
              const call = Number(/"which":(\d+)/.exec(body)?.[1]);
              perCall[call]?.push(url);
              const { afterMs, failure: fault } = acts[at++ % acts.length] ?? { afterMs: 1 };
              const cancel = clock.after(afterMs, () => {
                if (fault === undefined) resolve(answer);
                else reject(fault);
              });
              signal.addEventListener("abort", () => {
                cancel();
                reject(signal.reason as Error);
              });
            }),
      });
      const ends: number[] = [];
      for (const [which, { pauseMs, leavesAfterMs }] of all.entries()) {
        await clock.runUntil(clock.now() + pauseMs);
        perCall.push([]);
        const beganAt = clock.now();
        const controller = new AbortController();
        clock.after(deadlineMs, () => controller.abort(new AppError("deadline_exceeded", "")));
        if (leavesAfterMs !== undefined) {
          clock.after(leavesAfterMs, () => controller.abort(new AppError("canceled", "")));
        }
        const question: Question<EmbedRequest> = {
          request: (deadline_ms) => ({ ...about, ...picture, deadline_ms, which }) as EmbedRequest,
          remainingMs: () => beganAt + deadlineMs - clock.now(),
          pixels: new Uint8Array(14 * 14 * 3),
          loadPixels: () => Promise.resolve(undefined),
        };
        const ended = (): void => void ends.push(clock.now() - beganAt);
        void ask(embedCall, question, controller.signal).then(ended, (error: unknown) => {
          expect(error).toBeInstanceOf(AppError);
          ended();
        });
      }
      await clock.runUntil(clock.now() + 2 * deadlineMs);
      expect(ends).toHaveLength(all.length);
      expect(Math.max(...ends)).toBeLessThanOrEqual(deadlineMs);
      for (const asked of perCall) {
        expect(new Set(asked).size).toBeLessThanOrEqual(2);
        // Two attempts, each once more with the pixels.
        expect(asked.length).toBeLessThanOrEqual(4);
      }
      for (const { inFlight } of fleet.state(clock.now())) expect(inFlight).toBe(0);
    }),
    { numRuns: 60 },
  );
});
