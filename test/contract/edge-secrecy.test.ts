// What a tenant sees does not hang on what another has sent: not the content, not a header, and not which calls
// were made for it (to nodes, origins, stores and objects), which is what time could tell at most.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startFakeNode, type FakeNode } from "../support/fake-node.ts";
import { testCodecModules } from "../support/image-codecs.ts";
import { png, pngOtherBytes } from "../support/pictures.ts";
import { workerInProcess, type WorkerInProcess } from "../support/worker-in-process.ts";

vi.mock("../../edge/src/images/codecs.ts", () => ({ codecModules: testCodecModules }));

const host = "10.0.0.9:80";
const pictures = 3;
let node: FakeNode;
/** Of each picture two files. */
let files: readonly (readonly Buffer[])[];
beforeAll(async () => {
  node = await startFakeNode();
  files = await Promise.all(
    Array.from({ length: pictures }, async (_, seed) => [
      await png(seed + 400),
      await pngOtherBytes(seed + 400),
    ]),
  );
});
afterAll(() => node?.stop());

const ways = ["upload", "base64", "url", "get", "id"] as const;
interface Step {
  readonly by: "ada" | "bob";
  readonly way: (typeof ways)[number];
  readonly picture: number;
  /** Which of its files. */
  readonly file: number;
  readonly prompt: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A Worker of its own, warm for a third tenant. */
async function start() {
  node.forgetPixels();
  const worker = await workerInProcess({
    node,
    origin: {
      host,
      answer(url) {
        const [, picture, file, maxAge] = url.pathname.split("/");
        const bytes = files[Number(picture)]?.[Number(file)] ?? Buffer.alloc(0);
        const headers = { "cache-control": `public, max-age=${maxAge}`, etag: '"1"' };
        return new Response(new Uint8Array(bytes), { headers });
      },
    },
    // What an isolate does of its own accord in the course of time is not to fall into one of two runs.
    vars: { CATALOG_TTL_MS: "600000", PURGE_TTL_MS: "600000", KEY_TTL_MS: "600000" },
  });
  const keys = { ada: await worker.keyOf("ada"), bob: await worker.keyOf("bob") };
  const other = { authorization: `Bearer ${await worker.keyOf("cleo")}` };
  await worker.fetch("/v1/models", { headers: other });
  const ids = await Promise.all(files.map(([file]) => idOf(worker, other, file)));
  return { worker, keys, ids };
}
async function idOf(worker: WorkerInProcess, headers: Record<string, string>, file?: Buffer) {
  const body = form(file ?? Buffer.alloc(0), "an id");
  const response = await worker.fetch("/v1/caption", { method: "POST", headers, body });
  return ((await response.json()) as { image_id: string }).image_id;
}
function form(file: Buffer, prompt: string): FormData {
  const body = new FormData();
  body.set("image", new Blob([new Uint8Array(file)]), "picture");
  body.set("request", JSON.stringify({ prompt }));
  return body;
}

/** All that who takes the step can learn of it. */
async function observe({ worker, keys, ids }: Awaited<ReturnType<typeof start>>, step: Step) {
  const { by, way, picture, file, prompt } = step;
  const headers = { ...step.headers, authorization: `Bearer ${keys[by]}` };
  const bytes = files[picture]?.[file] ?? Buffer.alloc(0);
  const url = `http://${host}/${picture}/${file}/${picture === 0 ? 0 : 60}`;
  const json = (image: object) => ({
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ image, prompt }),
  });
  worker.calls();
  const query = `?url=${encodeURIComponent(url)}&prompt=${encodeURIComponent(prompt)}`;
  const request = {
    upload: () => ({ headers, body: form(bytes, prompt) }),
    base64: () => json({ base64: bytes.toString("base64") }),
    url: () => json({ url }),
    id: () => json({ image_id: ids[picture] }),
    get: () => ({ headers }),
  }[way]();
  const response = await (way === "get"
    ? worker.fetch(`/v1/caption${query}`, request)
    : worker.fetch("/v1/caption", { method: "POST", ...request }));
  const told = Object.fromEntries(response.headers);
  for (const name of ["x-request-id", "date"]) delete told[name];
  // Of the times, which there are.
  told["server-timing"] = (told["server-timing"] ?? "").replaceAll(/;dur=[\d.]+/g, "");
  const { status } = response;
  const calls = worker.calls().toSorted((a, b) => a.localeCompare(b));
  return { step, status, told, body: await response.text(), calls };
}

const stepBy = (by: fc.Arbitrary<Step["by"]>): fc.Arbitrary<Step> =>
  fc.record({
    by,
    way: fc.constantFrom(...ways),
    picture: fc.nat(pictures - 1),
    file: fc.nat(1),
    prompt: fc.constantFrom("a", "b"),
    headers: fc.oneof(
      { weight: 4, arbitrary: fc.constant({}) },
      fc.constantFrom({ "cache-control": "no-store" }, { "cache-control": "no-cache" }),
    ),
  });

test("whatever another tenant has sent, before or in between: everything is as if it had sent nothing", async () => {
  const anyone = fc.constantFrom("ada" as const, "bob" as const);
  await fc.assert(
    fc.asyncProperty(fc.array(stepBy(anyone), { minLength: 2, maxLength: 14 }), async (steps) => {
      const together = await start();
      const seen = [];
      for (const step of steps) {
        const observed = await observe(together, step);
        if (step.by === "bob") seen.push(observed);
      }
      const alone = await start();
      const expected = [];
      for (const step of steps) if (step.by === "bob") expected.push(await observe(alone, step));
      expect(seen).toEqual(expected);
    }),
    { numRuns: 40 },
  );
}, 120_000);

describe("what one's own past does change, so that the property can fail", () => {
  const upload: Step = {
    ...{ by: "bob", way: "upload", picture: 0, file: 0, prompt: "a", headers: {} },
  };

  test("a miss asks objects and a node; a hit no object, and from the isolate's memory no store", async () => {
    const world = await start();
    const miss = await observe(world, upload);
    const asked = (calls: readonly string[], what: string) =>
      calls.filter((call) => call.startsWith(what)).length;
    expect(miss.told).toMatchObject({ "blip2-served": "live" });
    expect([asked(miss.calls, "meter"), asked(miss.calls, "node")]).toEqual([2, 1]);
    expect(miss.calls).toEqual(expect.arrayContaining(["lease join", "lease finish"]));
    const hit = await observe(world, upload);
    expect(hit.told).toMatchObject({ "blip2-served": "cache" });
    expect(hit.calls).toEqual([]);
    expect(hit.body).toBe(miss.body);
    // By another file of the same picture, its address, its id: nothing of a node or an object either.
    const ways = [{ file: 1 }, { way: "url" as const }, { way: "id" as const }];
    for (const way of ways) {
      const other = await observe(world, { ...upload, picture: 1, ...way });
      expect(other.status).toBe(200);
      const again = await observe(world, { ...upload, picture: 1, ...way });
      expect(again.told).toMatchObject({ "blip2-served": "cache" });
      expect(again.calls).toEqual([]);
    }
  });

  test("nothing is written for a request that is to be kept nowhere", async () => {
    const world = await start();
    const { calls, told } = await observe(world, {
      ...upload,
      headers: { "cache-control": "no-store" },
    });
    expect(told["cache-status"]).toContain("no-store");
    expect(calls.filter((call) => / (put|match|get|head)$/.test(call))).toEqual([]);
    expect(calls.filter((call) => call.startsWith("lease"))).toEqual([]);
    expect((await observe(world, upload)).told).toMatchObject({ "blip2-served": "live" });
  });
});
