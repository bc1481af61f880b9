// Streamed answers of the Worker before a scripted node: texts as they are written, the whole answer at the
// end, kept and counted as any other; what fails before and after the first text; a client that leaves.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type Client } from "@blip2-edge/shared/client";
import type { StreamEvent } from "@blip2-edge/shared/contracts/stream";
import { AppError } from "@blip2-edge/shared/problem";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { jpeg } from "../support/pictures.ts";

const vars = { OPERATOR_KEYS: `b2e_operator_${"8y".repeat(16)}`, REQUEST_TIMEOUT_MS: "5000" };
let edge: Edge;
let client: Client;
beforeAll(async () => {
  edge = await startEdge({ vars });
  client = createClient({ url: edge.url, key: edge.ada });
});
afterAll(() => edge?.stop());

async function all<Event>(events: AsyncIterable<Event>): Promise<Event[]> {
  const seen: Event[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}
const textsOf = (events: readonly StreamEvent<unknown>[]): string[] => {
  const texts: string[] = [];
  for (const event of events) {
    if (event.event === "text") texts[event.index] = (texts[event.index] ?? "") + event.text;
  }
  return texts;
};
const resultOf = <Answer>(events: readonly StreamEvent<Answer>[]): Answer | undefined => {
  const last = events.at(-1);
  return last?.event === "result" ? last.result : undefined;
};
const keyWith = (limits: Record<string, number>) =>
  createClient({ url: edge.url, key: vars.OPERATOR_KEYS }).keyCreate({
    ...{ name: "test", tenant: "ada", limits },
  });
const spentBy = async (id: string) => {
  const { usage } = await createClient({ url: edge.url, key: vars.OPERATOR_KEYS }).usage({
    key_id: id,
  });
  return [usage[0]?.inferences ?? 0, usage[0]?.refunded_calls ?? 0];
};

test("a caption comes word by word, then whole; it is kept, and a kept one comes in one piece", async () => {
  const image = { bytes: await jpeg(40) };
  const pause = Promise.withResolvers<void>();
  edge.node.failNext({ kind: "after_first_text", wait: pause.promise });
  const asked = edge.node.asked.length;
  const stream = client.streams.caption({ image });
  // The node says no more until this has arrived.
  expect((await stream.next()).value).toEqual({ event: "text", index: 0, text: "picture " });
  pause.resolve();
  const rest = await all(stream);
  expect(rest.map(({ event }) => event)).toEqual(["text", "result"]);
  const answer = resultOf(rest);
  expect(`picture ${textsOf(rest)[0]}`).toBe(answer?.text);
  expect(edge.node.asked.length).toBe(asked + 1);
  expect(edge.node.asked.at(-1)?.request.stream).toBe(true);

  expect(await client.caption({ image })).toEqual(answer);
  expect(await all(client.streams.caption({ image }))).toEqual([
    { event: "text", index: 0, text: answer?.text },
    { event: "result", result: answer },
  ]);
  expect(edge.node.asked.length).toBe(asked + 1);
  await expect
    .poll(() => edge.lastEvent())
    .toMatchObject({ route: "caption", status: 200, cache: "hit" });
});

test("the answer's head tells of the cache and of quotas; the log line is written at the end", async () => {
  const { key } = await keyWith({ inferences_per_day: 9 });
  const ask = async () => edge.upload("/v1/caption", await jpeg(41), { stream: true }, key);
  const pause = Promise.withResolvers<void>();
  edge.node.failNext({ kind: "after_first_text", wait: pause.promise });
  const { headers, body } = await ask();
  expect(headers.get("content-type")).toBe("text/event-stream");
  expect(headers.get("cache-control")).toBe("no-store");
  expect(headers.get("cache-status")).toContain("fwd=miss");
  expect(headers.get("ratelimit")).toContain('"day";r=8');
  expect(headers.has("etag")).toBe(false);
  const id = headers.get("x-request-id");
  const logged = () => edge.events.find((event) => event["request_id"] === id);
  expect(logged()).toBeUndefined();
  pause.resolve();
  await new Response(body).text();
  await expect.poll(logged).toMatchObject({ status: 200, inferences: 1, cache: "miss" });
  expect((await ask()).headers.get("cache-status")).toBe("blip2-edge; hit");
});

test("several questions: every text at its index, kept ones and repeated ones too", async () => {
  const image = { bytes: await jpeg(42) };
  const { answer: kept } = (await client.vqa({ image, question: "b?" })) as { answer: string };
  const questions = ["a?", "b?", "a?", "c?"];
  const events = await all(client.streams.vqa({ image, questions }));
  const result = resultOf(events);
  if (result === undefined || !("answers" in result)) throw new Error("no answers");
  expect(result.answers.map(({ question }) => question)).toEqual(questions);
  expect(textsOf(events)).toEqual(result.answers.map(({ answer }) => answer));
  expect(result.answers[1]?.answer).toBe(kept);
  expect(edge.node.asked.at(-1)?.request.texts).toHaveLength(2);
});

test("what is drawn anew each time is streamed and not kept; the first of several captions is streamed", async () => {
  const image = { bytes: await jpeg(43) };
  const before = edge.node.asked.length;
  for (let time = 0; time < 2; time++) {
    const events = await all(
      client.streams.caption({ image, do_sample: true, num_return_sequences: 2 }),
    );
    expect(textsOf(events)).toEqual([resultOf(events)?.text]);
    expect(resultOf(events)?.sequences).toHaveLength(2);
  }
  expect(edge.node.asked.length).toBe(before + 2);
});

describe("what fails", () => {
  test("before the first text is an ordinary problem with its status", async () => {
    edge.node.failNext({
      kind: "problem",
      error: new AppError("overloaded", "", { retryAfterS: 7 }),
    });
    const response = await edge.upload("/v1/caption", await jpeg(44), { stream: true });
    expect(response.headers.get("retry-after")).toBe("7");
    await expectProblem(response, "overloaded", "caption");
  });

  test.each([
    ["a broken connection", "drop", "node_unavailable"],
    ["a problem of the node", new AppError("engine_restarted", ""), "engine_restarted"],
    ["a wish to begin again", new AppError("revision_mismatch", ""), "node_protocol"],
  ] as const)(
    "after it is the last event, without a second attempt, and costs nothing: %s",
    async (_, end, code) => {
      const { key, id } = await keyWith({ inferences_per_day: 9 });
      const mine = createClient({ url: edge.url, key });
      const image = { bytes: await jpeg(45) };
      const before = edge.node.asked.length;
      const pause = Promise.withResolvers<void>();
      edge.node.failNext({ kind: "after_first_text", wait: pause.promise, end });
      const stream = mine.streams.caption({ image });
      expect((await stream.next()).value).toMatchObject({ event: "text" });
      pause.resolve();
      await expect(stream.next()).rejects.toMatchObject({ code });
      expect(edge.node.asked.length).toBe(before + 1);
      await expect.poll(() => edge.lastEvent()).toMatchObject({ status: 200, problem: code });
      expect(await spentBy(id)).toEqual([0, 1]);
    },
  );

  test("by time: the last event says so", async () => {
    const pause = Promise.withResolvers<void>();
    edge.node.failNext({ kind: "after_first_text", wait: pause.promise });
    const stream = client.streams.caption({ image: { bytes: await jpeg(46) } });
    await stream.next();
    await expect(stream.next()).rejects.toMatchObject({ code: "deadline_exceeded" });
    pause.resolve();
  });

  test("a `stream` that is no truth value, or where nothing streams", async () => {
    const picture = await jpeg(40);
    const wrong = await edge.upload("/v1/caption", picture, { stream: "yes" });
    expect((await expectProblem(wrong, "invalid_request", "caption")).detail).toContain("stream");
    const nowhere = await edge.upload("/v1/match", picture, { texts: ["a"], stream: true });
    expect((await expectProblem(nowhere, "invalid_request", "match")).detail).toContain("stream");
  });
});

test("a client that leaves ends the node's work, and pays for what it was told", async () => {
  const { key, id } = await keyWith({ inferences_per_day: 9 });
  const mine = createClient({ url: edge.url, key });
  const abandoned = edge.node.abandoned();
  const pause = Promise.withResolvers<void>();
  edge.node.failNext({ kind: "after_first_text", wait: pause.promise });
  const image = { bytes: await jpeg(47) };
  for await (const event of mine.streams.caption({ image })) {
    expect(event.event).toBe("text");
    break;
  }
  await expect.poll(() => edge.node.abandoned(), { timeout: 3000 }).toBe(abandoned + 1);
  pause.resolve();
  await expect.poll(() => edge.lastEvent()).toMatchObject({ problem: "canceled", key_id: id });
  expect(await spentBy(id)).toEqual([1, 0]);
});
