// Many pictures: the batch, and the import of a folder by the real command line, killed in the middle twice and begun
// again. A long run: IMPORT_FILES=10000 npm test -- edge-bulk
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type Client } from "@blip2-edge/shared/client";
import type { ImageBatchResponse } from "@blip2-edge/shared/contracts/image-batch";
import { scopes } from "@blip2-edge/shared/contracts/keys";
import { AppError } from "@blip2-edge/shared/problem";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { jpeg, png } from "../support/pictures.ts";

const fileCount = Number(process.env["IMPORT_FILES"] ?? 60);

let edge: Edge;
let client: Client;
beforeAll(async () => {
  const picture = await jpeg(60_000);
  edge = await startEdge({
    vars: { CATALOG_TTL_MS: "600000" },
    internet: ({ url }) =>
      url.endsWith("/gone.jpg")
        ? new Response("", { status: 404 })
        : new Response(new Uint8Array(picture)),
  });
  await edge.worker.putKey({ key: edge.ada, tenant: "ada", name: "test", scopes });
  client = createClient({ url: edge.url, key: edge.ada });
});
afterAll(() => edge?.stop());

describe("a batch", () => {
  const at = (namespace: string): string => `/v1/namespaces/${namespace}/images/batch`;
  const told = ({ results }: ImageBatchResponse) =>
    results.map(({ id, record, problem }) => `${id} ${record?.id ?? problem?.code}`);

  test("files, an address, base64 and an earlier picture at once, each with its record or its problem", async () => {
    const [one, two] = [await png(60_001), await png(60_002)];
    const first = await client.imageBatch({
      namespace: "batch",
      images: [
        { id: "file", image: { bytes: one }, title: "a file", tags: ["x"] },
        { id: "url", image: { url: "https://pictures.example/a.jpg" } },
        { id: "text", image: { bytes: new TextEncoder().encode("no picture at all") } },
        { id: "base64", image: { base64: two.toString("base64") }, caption: false },
        { id: "gone", image: { url: "https://pictures.example/gone.jpg" } },
        { id: "garbage", image: { base64: "!!" } },
        { id: "second", image: { bytes: two } },
      ],
    });
    expect(told(first)).toEqual([
      ...["file file", "url url", "text image_not_recognised", "base64 base64"],
      ...["gone fetch_failed", "garbage invalid_request", "second second"],
    ]);
    expect(first).toMatchObject({ succeeded: 4, failed: 3 });
    const [file, , , base64, , , second] = first.results.map(({ record }) => record);
    expect(file).toMatchObject({ namespace: "batch", title: "a file", tags: ["x"] });
    expect(file?.caption).toMatch(/^picture /);
    expect(base64?.caption).toBeNull();
    // Each file went to its own id.
    expect(second?.image_id).toBe(base64?.image_id);
    expect(second?.image_id).not.toBe(file?.image_id);
    await expect
      .poll(() => edge.lastEvent())
      .toMatchObject({ batch_images: 7, batch_failed: 3, status: 200 });

    const inferences = edge.node.inferences();
    const again = await client.imageBatch({
      namespace: "batch",
      images: [
        { id: "file", image: { bytes: one }, title: "a file", tags: ["x"] },
        { id: "third", image: { image_id: base64?.image_id ?? "" }, caption: false },
      ],
    });
    expect(told(again)).toEqual(["file file", "third third"]);
    expect(again.results[1]?.record?.duplicate_of).toBe("base64");
    expect(edge.node.inferences()).toBe(inferences);
    expect(await client.namespaceRead({ namespace: "batch" })).toMatchObject({
      ...{ images: 5, pictures: 3 },
    });
  });

  test("faults of the request are found before anything is done", async () => {
    const image = { url: "https://pictures.example/a.jpg" };
    const refused = async (body: object, field: string) => {
      const answer = await edge.json(at("refused"), body);
      const { errors } = await expectProblem(answer, "invalid_request", "imageBatch");
      expect(errors?.map((error) => error.field)).toContain(field);
    };
    await refused({}, "images");
    await refused({ images: [] }, "images");
    await refused({ images: [{ id: "a" }] }, "images[0].image");
    await refused(
      {
        images: [
          { id: "a", image },
          { id: "a", image },
        ],
      },
      "images[1].id",
    );
    await refused({ images: [{ id: "a", image, titel: "t" }] }, "images[0].titel");
    const many = Array.from({ length: 33 }, (_, id) => ({ id: `n${id}`, image }));
    await refused({ images: many }, "images");
    await refused({ images: [{ id: "a", image }], namespace: "other" }, "namespace");
    const form = await edge.upload(at("refused"), await png(60_003), {
      images: [{ id: "a" }, { id: "b" }],
    });
    await expectProblem(form, "invalid_request", "imageBatch");
    const { images } = await client.namespaceRead({ namespace: "refused" });
    expect(images).toBe(0);
    const stranger = await edge.json(at("refused"), { images: [{ id: "a", image }] }, edge.bob);
    await expectProblem(stranger, "forbidden", "imageBatch");
  });

  test("a node that fails for one picture fails that one alone", async () => {
    const images = await Promise.all(
      ["a", "b", "c"].map(async (id, n) => ({ id, image: { bytes: await png(60_010 + n) } })),
    );
    edge.node.failNext({ kind: "problem", error: new AppError("poison_request", "") });
    const { results, succeeded } = await client.imageBatch({ namespace: "poison", images });
    expect(succeeded).toBe(2);
    const codes = results.flatMap(({ problem }) => problem?.code ?? []);
    expect(codes).toEqual(["poison_request"]);
  });
});

describe(`an import of ${fileCount} files`, () => {
  const parallel = 4;
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "blip2-bulk-"));
    for (let n = 0; n < fileCount; n++) await writeFile(fileOf(n), await numbered(n));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const fileOf = (n: number) => path.join(folder, `picture ${String(n).padStart(5, "0")}.png`);

  /** Black and white fields that say the number: no two are near each other. */
  const numbered = (n: number): Promise<Buffer> => {
    const bits = Uint8Array.from({ length: 16 }, (_, bit) => ((n >> bit) & 1) * 255);
    return sharp(bits, { raw: { width: 4, height: 4, channels: 1 } })
      .toColourspace("srgb")
      .png()
      .toBuffer();
  };

  const put = () => edge.events.filter(({ route }) => route === "imagePut").length;
  /** Runs the command to its end, or kills it once it has put so many more. */
  async function run(killAfter = Infinity) {
    const command = spawn(
      process.execPath,
      [
        path.resolve(import.meta.dirname, "../../mcp-server/src/cli/main.ts"),
        ...[
          "import",
          folder,
          "--namespace",
          "bulk",
          "--parallel",
          String(parallel),
          "--no-caption",
        ],
      ],
      {
        env: { ...process.env, BLIP2_URL: edge.url, BLIP2_API_KEY: edge.ada },
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    const ended = once(command, "exit");
    const said = text(command.stderr);
    const before = put();
    const watch = setInterval(() => {
      if (put() - before >= killAfter) command.kill("SIGKILL");
    }, 5);
    const [status, signal] = (await ended) as [number | null, NodeJS.Signals | null];
    clearInterval(watch);
    return { status, signal, said: (await said).trim().split("\n") };
  }

  test(
    "killed twice and begun again: exactly one row for each, and no work done twice",
    { timeout: 60_000 + 600 * fileCount },
    async () => {
      const third = Math.floor(fileCount / 3);
      const embedded = edge.node.askedToEmbed.length;
      for (const round of [1, 2]) {
        const killed = await run(third);
        expect(killed, killed.said.join("\n")).toMatchObject({ status: null, signal: "SIGKILL" });
        const { images } = await client.namespaceRead({ namespace: "bulk" });
        // A put whose caller was killed counted as one when it was logged.
        expect(images).toBeGreaterThanOrEqual(round * third - parallel);
        expect(images).toBeLessThan(fileCount);
      }
      // Meanwhile somebody put a file there that is no picture.
      const broken = path.join(folder, "broken.jpg");
      await writeFile(broken, "<!doctype html><p>Not found</p>");
      const finished = await run();
      expect(finished, finished.said.join("\n")).toMatchObject({ status: 1, signal: null });
      expect(finished.said.join("\n")).toMatch(/^broken\.jpg: This is an HTML page, not an image/m);
      expect(finished.said.at(-1)).toMatch(/ indexed, 1 failed$/);
      await rm(broken);

      const rows = await everyRecord();
      expect(rows.map(({ source }) => source)).toEqual(
        Array.from({ length: fileCount }, (_, n) => path.basename(fileOf(n))),
      );
      expect(new Set(rows.map(({ image_id: imageId }) => imageId)).size).toBe(fileCount);
      expect(await client.namespaceRead({ namespace: "bulk" })).toMatchObject({
        ...{ images: fileCount, pictures: fileCount },
      });
      // What was under way at a kill may have been asked for again, and nothing else.
      const asked = edge.node.askedToEmbed.length - embedded;
      expect(asked).toBeGreaterThanOrEqual(fileCount);
      expect(asked).toBeLessThanOrEqual(fileCount + 2 * parallel);
      const before = put();
      const last = await run();
      expect(last).toMatchObject({ status: 0, signal: null });
      expect(last.said.at(-1)).toBe("0 indexed, 0 failed");
      expect(put()).toBe(before);
      console.log(
        `${fileCount} files, ${asked} looked at; ${finished.said.at(-1)} in the last run`,
      );
    },
  );

  async function everyRecord() {
    const rows: Awaited<ReturnType<Client["imageList"]>>["images"] = [];
    let cursor: string | undefined;
    do {
      const page = await client.imageList({ namespace: "bulk", limit: 200, cursor });
      rows.push(...page.images);
      ({ cursor } = page);
    } while (cursor !== undefined);
    return rows;
  }
});
