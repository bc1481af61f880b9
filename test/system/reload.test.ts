// `blip2 serve` changes to another artifact while it is asked all the time: nobody is refused for it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fromProblem } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import {
  type CatalogModel,
  catalogSchema,
  inferResponseSchema,
} from "@blip2-edge/shared/wire/protocol";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nanoArtifact } from "../support/nano-artifact.ts";
import { root } from "../support/stack.ts";

const keys = "test:0123456789abcdef0123456789abcdef";
const signer = createSigner({ keys: parseSigningKeys(keys) });
let folder: string;
let current: string;
let full: string;
let small: string;
let child: ChildProcess;
let url: string;
const lines: Record<string, unknown>[] = [];

/** What the node is told to serve is a link; another artifact takes its place in one step. */
async function pointTo(artifact: string): Promise<void> {
  await symlink(artifact, `${current}.next`);
  await rename(`${current}.next`, current);
}

beforeAll(async () => {
  [full, small] = [await nanoArtifact("fp32"), await nanoArtifact("int8")];
  folder = await mkdtemp(join(tmpdir(), "blip2-reload-"));
  current = join(folder, "current");
  await pointTo(full);
  const main = join(root, "gpu-node/src/cli/main.ts");
  child = spawn(process.execPath, [main, "serve", "--model", current, "--threads", "1"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, BLIP2_NODE_KEYS: keys },
  });
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error("the node's output is not piped");
  createInterface({ input: stderr }).on("line", (line) => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
  });
  const [line] = (await once(createInterface({ input: stdout }), "line")) as [string];
  ({ url } = JSON.parse(line) as { url: string });
});
afterAll(async () => {
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
  await rm(folder, { recursive: true });
});

async function send(method: string, path: string, frame?: ReturnType<typeof writeFrame>) {
  const target = `${url}${path}`;
  const headers = await signer.sign({ method, url: target, ...frame });
  const body = frame === undefined ? {} : { body: frame.body as Uint8Array<ArrayBuffer> };
  return fetch(target, { method, headers, ...body });
}
async function served(): Promise<CatalogModel> {
  const [model] = catalogSchema.parse(await (await send("GET", "/v1/catalog")).json()).models;
  if (model === undefined) throw new Error("the node serves nothing");
  return model;
}
const pixels = new Uint8Array(224 * 224 * 3).fill(120);
async function infer(modelRevision: string, stream: boolean): Promise<Response> {
  const json = JSON.stringify({
    model: "nano",
    model_revision: modelRevision,
    partition: "0".repeat(32),
    image: { image_id: `img_${"c".repeat(64)}`, size: 224 },
    texts: [null, null],
    generation: { max_new_tokens: 30, min_new_tokens: 30 },
    deadline_ms: 30_000,
    stream,
  });
  return send("POST", "/v1/infer", writeFrame({ json, pixels }));
}

/** Asks as the edge does: by the revision it knows, and anew when the node has another. */
function keepAsking() {
  const stopped = new AbortController();
  const answeredBy: string[] = [];
  const mismatches: number[] = [];
  const failures: string[] = [];
  const ask = async (stream: boolean): Promise<void> => {
    let { model_revision: known } = await served();
    while (!stopped.signal.aborted) {
      const response = await infer(known, stream);
      const text = await response.text();
      if (response.status === 409) {
        mismatches.push(answeredBy.length);
        known = (await served()).model_revision;
      } else if (response.status !== 200) {
        failures.push(`${response.status} ${text}`);
        await sleep(20);
      } else if (stream) {
        if (!text.includes("event: result\n")) failures.push(text);
        answeredBy.push(known);
      } else answeredBy.push(inferResponseSchema.parse(JSON.parse(text)).model_revision);
    }
  };
  const all = Promise.all([ask(false), ask(false), ask(true)]);
  return {
    answeredBy,
    failures,
    /** How often the node said that it has another revision now. */
    mismatches,
    async stop() {
      stopped.abort();
      await all;
    },
  };
}
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("it did not come about in time");
    await sleep(20);
  }
}
const enginesGone = () => lines.filter(({ event }) => event === "engine_ended").length;

test("to another artifact and back, asked all the time: no request fails", async () => {
  const before = await served();
  const asking = keepAsking();
  await until(() => asking.answeredBy.length > 3);

  await pointTo(small);
  const reloaded = await send("POST", "/v1/reload");
  expect(reloaded.status).toBe(200);
  const [after] = catalogSchema.parse(await reloaded.json()).models;
  expect(after?.model_revision).not.toBe(before.model_revision);
  expect(await served()).toEqual(after);
  // What was sent for the old revision from now on is refused as it always was.
  const stale = await infer(before.model_revision, false);
  expect(fromProblem(await stale.json())?.code).toBe("revision_mismatch");
  await until(() => asking.answeredBy.slice(-3).every((each) => each === after?.model_revision));

  await pointTo(full);
  child.kill("SIGHUP");
  await until(async () => (await served()).model_revision === before.model_revision);
  await until(() => asking.answeredBy.at(-1) === before.model_revision);
  await asking.stop();

  expect(asking.failures).toEqual([]);
  expect(new Set(asking.answeredBy)).toEqual(
    new Set([before.model_revision, after?.model_revision]),
  );
  expect(asking.mismatches.length).toBeGreaterThan(0);
  expect(lines.filter(({ event }) => event === "reloaded")).toHaveLength(2);
  expect(enginesGone()).toBe(0);
});

test("an artifact that cannot be opened changes nothing, and the answer says why", async () => {
  const before = await served();
  const asking = keepAsking();
  await pointTo(join(folder, "nowhere"));
  const refused = await send("POST", "/v1/reload");
  const problem = fromProblem(await refused.json());
  expect([refused.status, problem?.code]).toEqual([422, "artifact_invalid"]);
  expect(problem?.detail).toMatch(/goes on with what it served: .*current is not an artifact/);
  expect(await served()).toEqual(before);
  const sofar = asking.answeredBy.length;
  await until(() => asking.answeredBy.length > sofar + 3);
  await asking.stop();
  expect(asking.failures).toEqual([]);
  expect(lines.find(({ event }) => event === "reload_failed")).toMatchObject({
    reason: expect.stringContaining("is not an artifact") as string,
  });
});
