import { AppError } from "@blip2-edge/shared/problem";
import { writeEmbedding } from "@blip2-edge/shared/wire/embedding";
import { readFrame } from "@blip2-edge/shared/wire/frame";
import {
  inferRequestSchema,
  type EmbedRequest,
  type InferRequest,
} from "@blip2-edge/shared/wire/protocol";
import { describe, expect, test } from "vitest";
import { nodeAsker, type Question } from "./ask.ts";
import { embedCall, inferCall, matchCall } from "./calls.ts";
import { realClock } from "./clock.ts";
import {
  ConnectionBroke,
  nodeExchange,
  type Fetch,
  type NodeRequest,
  type OnText,
} from "./exchange.ts";
import { createFleet } from "./fleet.ts";
import { heldImages } from "./held-images.ts";
import { virtualClock } from "../../../test/support/virtual-clock.ts";

const imageId = `img_${"a".repeat(64)}`;
const pixels = new Uint8Array(14 * 14 * 3).fill(7);
const about = {
  model: "m",
  model_revision: "0".repeat(16),
  partition: "0".repeat(32),
  image: { image_id: imageId, size: 14 },
};
const question = {
  request: (deadline_ms: number) => ({ ...about, texts: [null], generation: {}, deadline_ms }),
  pixels,
  loadPixels: () => Promise.resolve(undefined),
  remainingMs: () => 1234.5,
} satisfies Question<InferRequest>;
const answer = {
  model: "m",
  model_revision: "0".repeat(16),
  image_id: imageId,
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
};
const never = new AbortController().signal;

type Step = (request: NodeRequest, signal: AbortSignal, hear: OnText) => unknown;

/** Asks nodes that do what the steps say, whichever of them is asked. */
function asker(steps: Step[], { urls = ["http://a"], policy = {}, clock = realClock } = {}) {
  const seen: (NodeRequest & { readonly url: string; readonly signal: AbortSignal })[] = [];
  const fleet = createFleet(policy);
  const held = (revision: string) => ({
    ...{ model: "m", model_revision: revision, family: "opt", image_size: 14, abilities: [] },
  });
  const models = [held("0".repeat(16)), { ...held("f".repeat(16)), model: "n" }];
  fleet.setNodes(
    urls.map((url) => ({ url, weight: 1, models })),
    0,
  );
  const ask = nodeAsker({
    fleet,
    held: heldImages(),
    retryWaitMs: 0,
    queueMs: 100,
    clock,
    exchangeWith:
      ({ url }) =>
      (request, signal, onText = () => {}) => {
        seen.push({ ...request, url, signal });
        const step = steps.shift();
        if (step === undefined) throw new Error("asked too often");
        return Promise.resolve().then(() => step(request, signal, onText));
      },
  });
  const infer = (what: Question<InferRequest> = question, signal = never) =>
    ask(inferCall, what, signal);
  return { ask, infer, seen, fleet };
}
const lacksPixels = (): never => {
  throw new AppError("pixels_required", "");
};
const fails = (error: Error) => (): never => {
  throw error;
};
/** Answers never, and is rejected with the signal's reason. */
const hangs: Step = (_, signal) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });

test("pixels travel framed, with the time that is left", async () => {
  const { infer, seen } = asker([() => answer]);
  expect(await infer()).toMatchObject({ attempts: 1, sentPixels: true });
  const [request] = seen;
  const frame = readFrame(request?.body ?? new Uint8Array(), request?.contentType ?? "");
  expect(frame.pixels).toEqual(pixels);
  expect(inferRequestSchema.parse(JSON.parse(frame.json)).deadline_ms).toBe(1234);
});

test("a picture believed held goes as JSON; the node's 428 corrects the belief", async () => {
  const { infer, seen } = asker([() => answer, lacksPixels, () => answer]);
  await infer();
  await infer();
  expect(seen.map(({ contentType }) => contentType?.split(";")[0])).toEqual([
    "multipart/related",
    "application/json",
    "multipart/related",
  ]);
});

test("no pixels anywhere: image_pixels_gone", async () => {
  const { infer } = asker([lacksPixels]);
  const gone = infer({ ...question, pixels: undefined });
  await expect(gone).rejects.toMatchObject({ code: "image_pixels_gone" });
});

test("a node that asks for pixels it was sent is not asked for ever", async () => {
  const { infer, seen } = asker([lacksPixels, lacksPixels]);
  await expect(infer()).rejects.toMatchObject({ code: "node_protocol" });
  expect(seen).toHaveLength(1);
});

test("too few results are not an answer", async () => {
  const { infer } = asker([() => ({ ...answer, results: [] })]);
  await expect(infer()).rejects.toMatchObject({ code: "node_protocol" });
});

const textQuestion: Question<EmbedRequest> = {
  request: (deadline_ms) => ({
    ...{ model: "m", model_revision: "0".repeat(16) },
    features: "projected",
    texts: ["a"],
    deadline_ms,
  }),
  remainingMs: () => 1000,
};

test("a request about a text goes to its own path, never with pixels", async () => {
  const told = { model: "m", model_revision: "0".repeat(16), vision_passes: 0 };
  const embeddings = [writeEmbedding([2], [1, 2])];
  const { ask, seen } = asker([() => ({ ...told, embeddings }), lacksPixels]);
  expect(await ask(embedCall, textQuestion, never)).toMatchObject({ sentPixels: false });
  expect(seen).toMatchObject([{ path: "/v1/embed", contentType: "application/json" }]);
  const confused = ask(embedCall, { ...textQuestion, pixels }, never);
  await expect(confused).rejects.toMatchObject({ code: "node_protocol" });
  expect(seen).toHaveLength(2);
});

test("features are believed held for one revision of a model, not for another", async () => {
  const { ask, seen } = asker([() => answer, () => answer]);
  await ask(inferCall, question, never);
  const other = { ...about, model: "n", model_revision: "f".repeat(16) };
  const request = (deadline_ms: number) => ({ ...question.request(deadline_ms), ...other });
  await ask(inferCall, { ...question, request }, never);
  expect(seen[1]?.contentType).toContain("multipart/related");
});

describe("an answer that is well formed and none to the request", () => {
  const deadline_ms = 1;
  const texts = ["a", "b"];
  const model = { model: "m", model_revision: "0".repeat(16) };
  const told = { ...model, image_id: imageId, vision_passes: 0 };
  const asked = { ...about, texts, scores: ["itm" as const, "itc" as const], deadline_ms };
  const both = { itm: 0.5, itc: 0.5 };

  test("match: a score that was asked for is missing, a match is", () => {
    const fault = (matches: { itm?: number; itc?: number }[]) =>
      matchCall.fault(asked, { ...told, matches });
    expect(fault([both, both])).toBeUndefined();
    expect(fault([both, { itm: 1 }])).toBe("a match without itc");
    expect(fault([both])).toBe("1 results for 2");
    expect(
      matchCall.fault({ ...asked, scores: ["itm"] }, { ...told, matches: [both, { itm: 1 }] }),
    ).toBeUndefined();
  });

  test("embed: too few, of other dimensions, not finite", () => {
    const ofText = { ...model, features: "projected" as const, texts, deadline_ms };
    const ofImage = { ...about, features: "projected" as const, deadline_ms };
    const row = writeEmbedding([2], [1, 2]);
    const matrix = writeEmbedding([1, 2], [1, 2]);
    const fault = (request: EmbedRequest, ...embeddings: (typeof row)[]) =>
      embedCall.fault(request, { ...told, embeddings });
    expect(fault(ofText, row, row)).toBeUndefined();
    expect(fault({ ...ofText, features: "query" }, matrix, matrix)).toBeUndefined();
    expect(fault(ofImage, matrix)).toBeUndefined();
    expect(fault(ofText, row)).toBe("1 results for 2");
    expect(fault(ofImage, matrix, matrix)).toBe("2 results for 1");
    expect(fault(ofText, matrix, matrix)).toBe("an embedding of other dimensions");
    expect(fault({ ...ofText, features: "query" }, row, row)).toMatch(/dimensions/);
    expect(fault(ofImage, row)).toBe("an embedding of other dimensions");
    expect(fault(ofImage, { ...matrix, dims: [2, 2] })).toMatch(/does not fit/);
    expect(fault(ofImage, writeEmbedding([1, 1], [Number.NaN]))).toMatch(/not finite/);
  });
});

const pair = { urls: ["http://a", "http://b"] };
const refused = new ConnectionBroke(false, new Error("refused"));

describe("a node that fails", () => {
  test.each([
    ["a connection that broke", refused],
    ["one that broke in its answer", new ConnectionBroke(true, new Error("reset"))],
    ["an engine that ended", new AppError("engine_restarted", "")],
    ["a full node", new AppError("overloaded", "")],
    ["an answer that is none", new AppError("node_protocol", "")],
    ["one that holds another revision by now", new AppError("revision_mismatch", "")],
  ])("%s: another is asked, once", async (_, error) => {
    const { infer, seen } = asker([fails(error), () => answer], pair);
    const reply = await infer();
    expect(reply).toMatchObject({ attempts: 2, second: "retry", node: seen[1]?.url });
    expect(new Set(seen.map(({ url }) => url)).size).toBe(2);

    const twice = asker([fails(error), fails(error)], pair);
    await expect(twice.infer()).rejects.toBeInstanceOf(AppError);
    expect(twice.seen).toHaveLength(2);
  });

  test.each(["share_exceeded", "deadline_exceeded", "poison_request", "prompt_too_long"] as const)(
    "%s is final",
    async (code) => {
      const { infer, seen } = asker([fails(new AppError(code, ""))], pair);
      await expect(infer()).rejects.toMatchObject({ code });
      expect(seen).toHaveLength(1);
    },
  );

  test("who holds another revision by now is not asked for that one again", async () => {
    const mismatch = fails(new AppError("revision_mismatch", ""));
    const { infer, seen } = asker([mismatch, () => answer, () => answer, () => answer], pair);
    const { node } = await infer();
    expect((await infer()).node).toBe(node);
    expect(seen.map(({ url }) => url).slice(1)).toEqual([node, node]);
    // Both: the catalogue is to be asked again, which is told by the code.
    await expect(asker([mismatch, mismatch], pair).infer()).rejects.toMatchObject({
      code: "revision_mismatch",
    });
    await expect(asker([mismatch]).infer()).rejects.toMatchObject({ code: "revision_mismatch" });
  });

  test("with no other node: the same again when its connection broke before a byte, and only then", async () => {
    const { infer, seen } = asker([fails(refused), () => answer]);
    expect(await infer()).toMatchObject({ attempts: 2, node: "http://a", second: "retry" });
    expect(seen).toHaveLength(2);
    const error = new AppError("engine_restarted", "");
    await expect(asker([fails(error)]).infer()).rejects.toBe(error);
  });

  test("beyond the budget only a connection that broke before a byte is tried again", async () => {
    const policy = { retryShare: 0, retriesPerS: 0 };
    const unheard = asker([fails(refused), () => answer], { ...pair, policy });
    expect(await unheard.infer()).toMatchObject({ second: "retry" });
    const error = new AppError("engine_restarted", "");
    const other = asker([fails(error)], { ...pair, policy });
    await expect(other.infer()).rejects.toBe(error);
  });

  test("the other node gets the pixels, whatever the first one held", async () => {
    const { infer, seen } = asker([() => answer, fails(refused), () => answer], pair);
    await infer();
    expect(await infer()).toMatchObject({ sentPixels: true });
    expect(seen.map(({ contentType }) => contentType?.split(";")[0])).toEqual([
      "multipart/related",
      "application/json",
      "multipart/related",
    ]);
    expect(seen[1]?.url).toBe(seen[0]?.url);
    expect(seen[2]?.url).not.toBe(seen[0]?.url);
  });
});

describe("when every node has all it may have", () => {
  const full = { policy: { maxInFlight: 1 } };

  test("a call waits for a place, bulk does not, and is told to come back", async () => {
    const { infer, seen } = asker([hangs, () => answer], full);
    const controller = new AbortController();
    const first = infer(question, controller.signal);
    await expect(infer()).rejects.toMatchObject({ code: "overloaded", retryAfterS: 1 });
    const bulk = infer({
      ...question,
      request: (ms) => ({ ...question.request(ms), priority: "bulk" }),
    });
    await expect(bulk).rejects.toMatchObject({ code: "overloaded" });
    const waiting = infer();
    controller.abort(new AppError("canceled", ""));
    await expect(first).rejects.toMatchObject({ code: "canceled" });
    expect(await waiting).toMatchObject({ attempts: 1 });
    expect(seen).toHaveLength(2);
  });

  test("no node has the model: node_unavailable", async () => {
    const { infer } = asker([]);
    const request = (ms: number) => ({ ...question.request(ms), model: "unknown" });
    await expect(infer({ ...question, request })).rejects.toMatchObject({
      code: "node_unavailable",
    });
  });
});

/** Every call so far took 100 ms, and the budget has much left. */
function hedging(steps: Step[], urls = pair.urls, what: Question<InferRequest> = question) {
  const clock = virtualClock();
  const quick: Step = async (_request, _signal, hear) => {
    await clock.sleep(100);
    hear(0, "quick");
    return answer;
  };
  const all: Step[] = [...Array.from({ length: 50 }, () => quick), ...steps];
  const room = asker(all, { urls, clock, policy: { hedgeShare: 0.5 } });
  const ready = (async () => {
    for (let at = 0; at < 50; at++) {
      const asked = room.infer({ ...what, remainingMs: () => 60_000 });
      await clock.runUntil(clock.now() + 100);
      await asked;
    }
    room.seen.length = 0;
  })();
  return { ...room, clock, ready };
}
const warm: Question<InferRequest> = { ...question, remainingMs: () => 60_000 };

describe("a call that takes longer than most", () => {
  test("is asked elsewhere as well; the first answer is taken and the other call let go", async () => {
    const { infer, seen, clock, ready, fleet } = hedging([hangs, () => answer]);
    await ready;
    const asked = infer(warm);
    await clock.runUntil(clock.now() + 90);
    expect(seen).toHaveLength(1);
    await clock.runUntil(clock.now() + 30);
    expect(await asked).toMatchObject({ attempts: 2, second: "hedge", node: seen[1]?.url });
    expect(seen[0]?.url).not.toBe(seen[1]?.url);
    expect(seen[0]?.signal.aborted).toBe(true);
    expect(fleet.state(clock.now()).map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  test("not without another node", async () => {
    const { infer, seen, clock, ready } = hedging([hangs], ["http://a"]);
    await ready;
    const controller = new AbortController();
    const asked = infer(warm, controller.signal);
    await clock.runUntil(clock.now() + 5000);
    expect(seen).toHaveLength(1);
    controller.abort(new AppError("deadline_exceeded", ""));
    await expect(asked).rejects.toMatchObject({ code: "deadline_exceeded" });
  });

  test("when one of the two fails the other is waited for, and no third is asked", async () => {
    const slow: Step = async (_, signal) => {
      await clock.sleep(500);
      signal.throwIfAborted();
      return answer;
    };
    const { infer, seen, clock, ready } = hedging(
      [slow, fails(refused)],
      ["http://a", "http://b", "http://c"],
    );
    await ready;
    const asked = infer(warm);
    await clock.runUntil(clock.now() + 1000);
    expect(await asked).toMatchObject({ attempts: 2, second: "hedge", node: seen[0]?.url });
  });
});

describe("a streamed answer", () => {
  const listening = () => {
    const heard: string[] = [];
    return { heard, what: { ...question, onText: (_: number, text: string) => heard.push(text) } };
  };

  test("once a text was heard nothing is asked again", async () => {
    const { heard, what } = listening();
    const speaksAndBreaks: Step = (_request, _signal, hear) => {
      hear(0, "two");
      throw refused;
    };
    const { infer, seen } = asker([speaksAndBreaks], pair);
    await expect(infer(what)).rejects.toMatchObject({ code: "node_unavailable" });
    expect(seen).toHaveLength(1);
    expect(heard).toEqual(["two"]);
  });

  test("before that another is asked, and of two only the first that speaks is heard", async () => {
    const { heard, what } = listening();
    const retried = asker([fails(refused), (_r, _s, hear) => (hear(0, "owls"), answer)], pair);
    expect(await retried.infer(what)).toMatchObject({ second: "retry" });
    expect(heard).toEqual(["owls"]);
  });

  test("of a call and its hedge the first that speaks is heard, and the other let go", async () => {
    const { heard, what } = listening();
    let speakLate: (() => void) | undefined;
    const late: Step = (request, signal, hear) => {
      speakLate = () => hear(0, "late");
      return hangs(request, signal, hear);
    };
    const speaks: Step = async (_request, _signal, hear) => {
      hear(0, "first");
      speakLate?.();
      hear(0, "second");
      return answer;
    };
    const { infer, seen, clock, ready } = hedging([late, speaks], pair.urls, what);
    await ready;
    heard.length = 0;
    const asked = infer({ ...what, remainingMs: () => 60_000 });
    await clock.runUntil(clock.now() + 200);
    expect(await asked).toMatchObject({ second: "hedge" });
    expect(heard).toEqual(["first", "second"]);
    expect(seen[0]?.signal.aborted).toBe(true);
  });
});

test("an aborted request stops the exchange with the signal's reason", async () => {
  const controller = new AbortController();
  const fetchThatHangs: Fetch = (_, { signal }) =>
    new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(new Error("aborted")));
    });
  const exchange = nodeExchange({
    nodeUrl: "http://node.example",
    fetch: fetchThatHangs,
    sign: () => Promise.resolve({}),
  });
  const request: NodeRequest = {
    method: "GET",
    path: "/v1/catalog",
    contentType: undefined,
    body: undefined,
  };
  const asking = exchange(request, controller.signal);
  setTimeout(() => controller.abort(new AppError("canceled", "gone")), 5);
  await expect(asking).rejects.toMatchObject({ code: "canceled" });
});
