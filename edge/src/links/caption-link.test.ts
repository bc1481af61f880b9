import { expect, test } from "vitest";
import { captionLinks } from "./caption-link.ts";
import { tokenSealer } from "./token.ts";

const links = captionLinks(tokenSealer(["s".repeat(32)]));
const signed = { keyId: "abcDEF123456", until: 1_900_000_000 };
const fields = { url: "https://a.test/x.png", prompt: "a photo of" };

test("it names its key and its time, for exactly what was asked", async () => {
  const token = await links.write(signed, fields);
  expect(await links.read(token, fields)).toEqual(signed);
  const { url, prompt } = fields;
  // The order in which a query is written says nothing.
  expect(await links.read(token, { prompt, url })).toEqual(signed);
  for (const other of [
    { url },
    { ...fields, prompt: "a photo" },
    { ...fields, url: `${url}?` },
    { ...fields, seed: "1" },
    { url: `${url}", "prompt":"a photo of` },
  ]) {
    expect(await links.read(token, other as typeof fields)).toBeUndefined();
  }
});
