import fc from "fast-check";
import { expect, test } from "vitest";
import { splitMultipart } from "./multipart.ts";

const type = "multipart/form-data; boundary=xx";
const split = (text: string, contentType = type) =>
  splitMultipart(new Uint8Array(Buffer.from(text, "latin1")), contentType).map(
    ({ name, isFile, bytes }) => [name, isFile, Buffer.from(bytes).toString("latin1")],
  );
const part = (head: string, body: string) => `--xx\r\n${head}\r\n\r\n${body}\r\n`;

test("what a client sends comes apart as it was put together, without a copy", async () => {
  const names = fc.constantFrom("image", "request", "a b", "é");
  const value = fc.oneof(
    fc.record({ file: fc.uint8Array({ maxLength: 300 }) }),
    fc.record({ text: fc.string({ maxLength: 40 }).filter((text) => !/[\r\n]/.test(text)) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(names, value), { maxLength: 6 }), async (fields) => {
      const data = new FormData();
      for (const [name, given] of fields) {
        if ("text" in given) data.append(name, given.text);
        else data.append(name, new Blob([new Uint8Array(given.file)]), "f");
      }
      const request = new Request("http://x/", { method: "POST", body: data });
      const bytes = new Uint8Array(await request.arrayBuffer());
      const parts = splitMultipart(bytes, request.headers.get("content-type") ?? "");
      expect(parts.map(({ name, isFile }) => [name, isFile])).toEqual(
        fields.map(([name, given]) => [name, "file" in given]),
      );
      for (const [index, [, given]] of fields.entries()) {
        const expected = "file" in given ? given.file : new TextEncoder().encode(given.text);
        expect(Buffer.from(parts[index]?.bytes ?? []).equals(Buffer.from(expected))).toBe(true);
        expect(parts[index]?.bytes.buffer).toBe(bytes.buffer);
      }
    }),
    { seed: 9421, numRuns: 100 },
  );
});

test("a preamble, padding, an empty part, a quoted boundary, tokens without quotes", () => {
  const body = part('Content-Disposition: form-data; name=image; filename="a"', "");
  expect(split(`before\r\n${body}--xx--`)).toEqual([["image", true, ""]]);
  expect(
    split(body.replace("--xx", "--xx \t") + "--xx--", 'multipart/form-data; boundary="xx"'),
  ).toEqual([["image", true, ""]]);
});

test.each([
  ["no boundary", "x", "multipart/form-data"],
  ["nothing", "", type],
  ["no end", part('Content-Disposition: form-data; name="a"', "x").slice(0, -2), type],
  ["no close", part('Content-Disposition: form-data; name="a"', "x"), type],
  ["no head", "--xx\r\nContent-Disposition: form-data; name=a\r\n--xx--", type],
  ["no name", `${part("Content-Disposition: form-data", "x")}--xx--`, type],
  ["not form-data", `${part('Content-Disposition: attachment; name="a"', "x")}--xx--`, type],
  [
    "base64",
    `${part('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', "x")}--xx--`,
    type,
  ],
  ["too many", `${part('Content-Disposition: form-data; name="a"', "x").repeat(17)}--xx--`, type],
])("refused: %s", (_, body, contentType) => {
  expect(() => split(body, contentType)).toThrow();
});
