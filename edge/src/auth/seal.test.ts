import { expect, test } from "vitest";
import { sealer } from "./seal.ts";

const secret = "a secret of the tests that is long enough";

test("opens for its purpose and with its secret, and not otherwise", async () => {
  const { seal, open } = sealer(secret);
  const sealed = await seal("webhook job_1", "whsec_geheim\u{1f511}");
  expect(await open("webhook job_1", sealed)).toBe("whsec_geheim\u{1f511}");
  expect(await open("webhook job_2", sealed)).toBeUndefined();
  expect(await sealer(`${secret}.`).open("webhook job_1", sealed)).toBeUndefined();
});

test("holds nothing of the text, and differs each time", async () => {
  const { seal } = sealer(secret);
  const [one, two] = [await seal("a", "whsec_text"), await seal("a", "whsec_text")];
  expect(one).not.toBe(two);
  expect(atob(one.split(".")[1] ?? "")).not.toContain("whsec");
});

test.each(["", ".", "AAAA", "AAAA.AAAA", "not base64.at all"])(
  "what is damaged opens to nothing: %j",
  async (text) => {
    expect(await sealer(secret).open("a", text)).toBeUndefined();
  },
);

test("a changed byte is noticed", async () => {
  const { seal, open } = sealer(secret);
  const [iv, data = ""] = (await seal("a", "text")).split(".");
  const changed = `${data.startsWith("A") ? "B" : "A"}${data.slice(1)}`;
  expect(await open("a", `${iv}.${changed}`)).toBeUndefined();
});
