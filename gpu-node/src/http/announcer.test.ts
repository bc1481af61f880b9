import { heartbeatSchema, heartbeatTag, type Heartbeat } from "@blip2-edge/shared/wire/heartbeat";
import { createVerifier, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { expect, test } from "vitest";
import type { Log } from "../observe/log.ts";
import { createAnnouncer } from "./announcer.ts";

const keys = parseSigningKeys(`own:${"s".repeat(32)},edge:${"e".repeat(32)}`);

function setUp() {
  const verifier = createVerifier({ keys, tag: heartbeatTag });
  const beats: { readonly keyId: string; readonly beat: Heartbeat }[] = [];
  const planned: { readonly ms: number; readonly what: () => void; canceled: boolean }[] = [];
  const logged: string[] = [];
  const told: unknown[] = [];
  const edge = { answer: () => Response.json({ next_ms: 5000 }) };
  const log = (event: string): void => void logged.push(event);
  const node = { state: "ready" as Heartbeat["state"] };
  const announcer = createAnnouncer({
    edgeUrl: "https://edge.example.com/",
    url: () => "https://gpu.example.com",
    keys,
    onTold: async (answer) => void told.push(answer),
    version: "1.2.3",
    log: { info: log, warn: log, error: log } satisfies Log,
    describe: () => ({
      state: node.state,
      capacity: { weight: 2, max_jobs: 8, max_work_ms: 1000 },
      load: { jobs: 1, work_ms: 10 },
      models: [],
    }),
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const { body, keyId } = await verifier.identify(
        request,
        async () => new Uint8Array(await request.arrayBuffer()),
      );
      const beat = heartbeatSchema.parse(JSON.parse(new TextDecoder().decode(body)));
      beats.push({ keyId, beat });
      return edge.answer();
    },
    schedule(ms, what) {
      const plan = { ms, what, canceled: false };
      planned.push(plan);
      return () => {
        plan.canceled = true;
      };
    },
  });
  /** Lets the next planned heartbeats be sent, each when the one before it is answered; tells the pauses. */
  async function pass(count: number): Promise<number[]> {
    const pauses: number[] = [];
    for (let at = 0; at < count; at++) {
      await expect.poll(() => planned.some(({ canceled }) => !canceled)).toBe(true);
      const plan = planned.splice(0).find(({ canceled }) => !canceled);
      pauses.push(plan?.ms ?? Number.NaN);
      const before = beats.length;
      plan?.what();
      await expect.poll(() => beats.length).toBe(before + 1);
    }
    return pauses;
  }
  return { announcer, beats, logged, told, edge, node, planned, pass };
}

test("says at once that it is there, then as often as the edge wants, each signed and counted", async () => {
  const { announcer, beats, logged, pass } = setUp();
  announcer.start();
  expect(await pass(3)).toEqual([0, 5000, 5000]);
  expect(beats.map(({ beat }) => beat.seq)).toEqual([1, 2, 3]);
  expect(new Set(beats.map(({ beat }) => beat.started_at)).size).toBe(1);
  expect(beats[0]).toMatchObject({
    keyId: "own",
    beat: { url: "https://gpu.example.com", version: "1.2.3", state: "ready", load: { jobs: 1 } },
  });
  expect(logged).toEqual(["announced"]);
});

test("an edge that does not listen is tried every second, and the log has it once", async () => {
  const { announcer, edge, logged, pass } = setUp();
  edge.answer = () => new Response("{}", { status: 503 });
  announcer.start();
  expect(await pass(3)).toEqual([0, 1000, 1000]);
  edge.answer = () => Response.json({ next_ms: 5000 });
  expect(await pass(2)).toEqual([1000, 5000]);
  expect(logged).toEqual(["announce_failed", "announced"]);
});

test("what changes is said at once; the last word is that it leaves", async () => {
  const { announcer, beats, node, planned, pass } = setUp();
  announcer.now();
  expect(planned).toEqual([]);
  announcer.start();
  await pass(1);
  node.state = "not_ready";
  await expect.poll(() => planned.length).toBe(1);
  announcer.now();
  expect(await pass(1)).toEqual([0]);
  await announcer.leave();
  announcer.now();
  await announcer.leave();
  expect(beats.map(({ beat }) => beat.state)).toEqual(["ready", "not_ready", "leaving"]);
  expect(planned.filter(({ canceled }) => !canceled)).toEqual([]);
});

test("what changes while a heartbeat is under way is said after it, not at its next turn", async () => {
  const { announcer, edge, pass } = setUp();
  edge.answer = () => {
    announcer.now();
    edge.answer = () => Response.json({ next_ms: 5000 });
    return Response.json({ next_ms: 5000 });
  };
  announcer.start();
  expect(await pass(3)).toEqual([0, 0, 5000]);
});

test("what the edge says of keys is handed on before the next heartbeat", async () => {
  const { announcer, edge, told, pass } = setUp();
  const answer = { next_ms: 5000, key_ids: ["own"], leave: true };
  edge.answer = () => Response.json({ ...answer, more: 1 });
  announcer.start();
  await pass(2);
  expect(told).toEqual([answer, answer]);
});

test("who has not begun has nothing to take back", async () => {
  const { announcer, beats } = setUp();
  await announcer.leave();
  expect(beats).toEqual([]);
});
