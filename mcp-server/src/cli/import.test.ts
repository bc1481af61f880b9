import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { recordIdSchema } from "@blip2-edge/shared/contracts/images";
import { AppError } from "@blip2-edge/shared/problem";
import { idOfPath, importFolder } from "./import.ts";

let folder: string;
const count = 60;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "blip2-import-"));
  await mkdir(path.join(folder, "sub"));
  for (let n = 0; n < count; n++) {
    await writeFile(path.join(folder, n % 2 === 0 ? "" : "sub", `${n} é.png`), `picture ${n}`);
  }
  await writeFile(path.join(folder, "notes.txt"), "no picture");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A Worker that holds records, and is interrupted after so many puts, in the middle of one. */
function worker() {
  const puts = new Map<string, number>();
  const run = async (interruptAfter: number, ...args: string[]) => {
    const interrupt = new AbortController();
    let left = interruptAfter;
    const lines: string[] = [];
    const status = importFolder([folder, "--parallel", "3", ...args], {
      stdout: () => {},
      write: () => {},
      stderr: (line) => void lines.push(line),
      signal: interrupt.signal,
      env: { BLIP2_API_KEY: "key", BLIP2_URL: "https://edge.example" },
      async fetch(input, init) {
        const request = new Request(input, init);
        const url = new URL(request.url);
        if (request.method === "GET") {
          const after = url.searchParams.get("cursor") ?? "";
          const ids = [...puts.keys()].toSorted().filter((id) => id > after);
          const page = ids.slice(0, 25);
          return Response.json({
            images: page.map(recordOf),
            ...(ids.length > page.length ? { cursor: page.at(-1) } : {}),
          });
        }
        const id = decodeURIComponent(url.pathname.split("/").at(-1) ?? "");
        puts.set(id, (puts.get(id) ?? 0) + 1);
        left -= 1;
        if (left === 0) interrupt.abort(new AppError("canceled", "Interrupted."));
        request.signal.throwIfAborted();
        return Promise.resolve(Response.json(recordOf(id)));
      },
    });
    return { status, lines };
  };
  return { puts, run };
}
const recordOf = (id: string) => ({
  ...{ id, namespace: "default", image_id: `img_${"0".repeat(64)}`, source: null, title: null },
  ...{ text: null, tags: [], metadata: {}, caption: null, created_at: "", updated_at: "" },
});

test("killed twice and resumed: every picture once, and hardly one asked for again", async () => {
  const { puts, run } = worker();
  for (const after of [17, 20]) {
    await expect((await run(after)).status).rejects.toMatchObject({ code: "canceled" });
  }
  const last = await run(-1);
  expect(await last.status).toBe(0);
  expect(puts.size).toBe(count);
  // Only what was under way at a kill is put again.
  const putInAll = () => [...puts.values()].reduce((sum, times) => sum + times, 0);
  expect(putInAll()).toBeLessThanOrEqual(count + 2 * 3);
  const before = putInAll();
  const again = await run(-1);
  expect(await again.status).toBe(0);
  expect(again.lines[0]).toBe(`${count} pictures, ${count} of them there already`);
  expect(putInAll()).toBe(before);
});

test("an id for every path, never the same for two", () => {
  const part = fc
    .string({ minLength: 1, maxLength: 8, unit: "grapheme" })
    .filter((name) => !name.includes("/"));
  const file = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  fc.assert(
    fc.property(file, file, (a, b) => {
      const id = idOfPath(a);
      fc.pre(id.length <= 200);
      expect(recordIdSchema.safeParse(id).success, id).toBe(true);
      if (a !== b) expect(idOfPath(b)).not.toBe(id);
    }),
  );
});
