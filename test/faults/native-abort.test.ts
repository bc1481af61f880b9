// The engine ends by a signal of its own making, inside session.run: a bus error where mapped weights are gone,
// an arithmetic trap that the runtime does not catch. And the request that does it every time.
import { cp, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { crashingArtifact, emptyWeights } from "../support/crashing-artifact.ts";
import { nanoArtifact } from "../support/nano-artifact.ts";
import { answerOf, nodeClient, problemOf } from "../support/node-client.ts";
import {
  isAlive,
  type LogLine,
  serveNode,
  type ServedNode,
  until,
} from "../support/served-node.ts";

let artifact: string;
let folder: string;
beforeAll(async () => {
  artifact = await nanoArtifact();
  folder = await mkdtemp(path.join(os.tmpdir(), "blip2-abort-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let node: ServedNode | undefined;
afterEach(() => node?.stop());
const serve = async (artifactDir: string) => {
  const served = await serveNode({ models: [artifactDir], args: ["--drain-seconds", "1"] });
  node = served;
  return { node: served, client: await nodeClient(served.url) };
};
const lastEnd = (served: ServedNode): LogLine | undefined => served.logged("engine_ended").at(-1);

/** Normalised, pure white is above 2.1 and the grey of other pictures at 0.3 at most. */
const onlyWhite = 2;
/** Normalised, black is below -1.4. */
const allButBlack = -1.2;

describe("weights that are taken away under a running engine", () => {
  test("the bus error ends the engine alone; put back, they are served again without help", async () => {
    const copy = path.join(folder, "emptied");
    await cp(artifact, copy, { recursive: true });
    const { node, client } = await serve(copy);
    const before = await answerOf(await client.infer());
    const engine = await node.enginePid();

    await emptyWeights(copy);
    const hurt = await client.infer({ brightness: 90, partition: "2" });
    expect(hurt.status).toBe(503);
    expect(await problemOf(hurt)).toMatchObject({ code: "engine_restarted", retryable: true });
    expect(lastEnd(node)).toMatchObject({ reason: "SIGBUS", engine_pid: engine });

    // No engine can start on what is left: the node says so, to the log why, and goes on trying.
    await until(() => node.logged("engine_ended").length >= 3, "two starts have failed");
    expect(String(lastEnd(node)?.["reason"])).toMatch(/is damaged: .*\.data is 0 bytes/);
    expect(await node.isReady()).toBe(false);
    const refused = await client.infer();
    expect(refused.status).toBe(503);
    expect(await problemOf(refused)).toMatchObject({ code: "not_ready", retryable: true });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);

    await cp(artifact, copy, { recursive: true });
    await node.untilReady(30_000);
    const after = await answerOf(await client.infer());
    expect(after.results).toEqual(before.results);
    expect(isAlive(engine)).toBe(false);
  });
});

// Other processors give a number where x86 traps.
describe.skipIf(process.arch !== "x64")("a trap inside the vision graph", () => {
  test("a request that does it every time is refused the third time; the others are served", async () => {
    const trapped = await crashingArtifact(artifact, path.join(folder, "white"), onlyWhite);
    const { node, client } = await serve(trapped);
    const before = await answerOf(await client.infer());
    for (let attempt = 1; attempt <= 2; attempt++) {
      const poison = await client.infer({ brightness: 255 });
      expect(poison.status).toBe(503);
      expect((await problemOf(poison)).code).toBe("engine_restarted");
      expect(lastEnd(node)).toMatchObject({ reason: "SIGFPE" });
      await node.untilReady();
    }
    const engine = await node.enginePid();
    const refused = await client.infer({ brightness: 255 });
    expect(refused.status).toBe(422);
    expect(refused.headers.get("retry-after")).toBeNull();
    expect(await problemOf(refused)).toMatchObject({ code: "poison_request", retryable: false });
    const after = await answerOf(await client.infer());
    expect(after.results).toEqual(before.results);
    expect(await node.enginePid()).toBe(engine);
    expect(node.logged("engine_ended")).toHaveLength(2);
    expect(node.logged("request").at(-2)).toMatchObject({ outcome: "poison_request", status: 422 });
  });

  test("who was beside it in the engine is answered at the next try", async () => {
    const trapped = await crashingArtifact(artifact, path.join(folder, "beside"), onlyWhite);
    const { node, client } = await serve(trapped);
    const shades = [10, 20, 255, 30, 40];
    const askAll = () => Promise.all(shades.map((brightness) => client.infer({ brightness })));
    const statuses = new Map<number, number>();
    for (let attempt = 0; attempt < 6 && statuses.size < shades.length; attempt++) {
      await node.untilReady();
      for (const [index, response] of (await askAll()).entries()) {
        if (response.status === 200 || response.status === 422) {
          statuses.set(shades[index] ?? 0, response.status);
        }
      }
    }
    expect(Object.fromEntries(statuses)).toEqual({ 10: 200, 20: 200, 255: 422, 30: 200, 40: 200 });
    expect(node.logged("engine_ended")).toHaveLength(2);
  });

  test("an artifact that does it at every request: pauses that grow, and honest words about them", async () => {
    const trapped = await crashingArtifact(artifact, path.join(folder, "all"), allButBlack);
    const { node, client } = await serve(trapped);
    const door = node.pid;
    const crashes = 5;
    const told: number[] = [];
    for (let crash = 0; crash < crashes; crash++) {
      // Another picture each time: what stops the loop is not that the request is known.
      const response = await client.infer({ brightness: 100 + crash });
      expect(response.status).toBe(503);
      expect((await problemOf(response)).code).toBe("engine_restarted");
      told.push(Number(response.headers.get("retry-after")));
      expect(await node.isReady()).toBe(false);
      expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
      const meanwhile = await client.infer({ brightness: 0 });
      expect(meanwhile.status).toBe(503);
      expect((await problemOf(meanwhile)).code).toBe("not_ready");
      if (crash < crashes - 1) await node.untilReady();
    }
    const at = (event: string) => node.logged(event).map(({ time }) => Date.parse(String(time)));
    const ends = at("engine_ended");
    const starts = at("engine_ready").slice(1);
    expect(ends).toHaveLength(crashes);
    expect(node.logged("engine_ended").every(({ reason }) => reason === "SIGFPE")).toBe(true);
    for (const [index, readyAt] of starts.entries()) {
      const pauseMs = 200 * 2 ** index;
      const downMs = readyAt - (ends[index] ?? 0);
      expect(downMs).toBeGreaterThanOrEqual(pauseMs);
      // What was told covers the pause and a load as long as the last one.
      expect((told[index] ?? 0) * 1000).toBeGreaterThanOrEqual(pauseMs);
    }
    expect(told.at(-1)).toBeGreaterThanOrEqual(4);
    expect(node.pid).toBe(door);
    await node.untilReady(30_000);
    expect((await client.infer({ brightness: 0 })).status).toBe(200);
  });
});

describe("a signal from outside while a run is on", () => {
  test.each(["SIGSEGV", "SIGABRT"] as const)(
    "%s: the same, with the reason in the log",
    async (name) => {
      const { node, client } = await serve(artifact);
      const before = await answerOf(await client.infer());
      const run = client.infer({
        texts: Array.from({ length: 16 }, () => null),
        generation: { max_new_tokens: 100, min_new_tokens: 100 },
      });
      await until(async () => (await client.metric("jobs_running")) > 0, "the engine works");
      process.kill(await node.enginePid(), name);
      const response = await run;
      expect(response.status).toBe(503);
      expect((await problemOf(response)).code).toBe("engine_restarted");
      expect(lastEnd(node)).toMatchObject({ reason: name });
      await node.untilReady();
      expect((await answerOf(await client.infer())).results).toEqual(before.results);
    },
  );
});
