import { expect, test } from "vitest";
import { joinedKeys, keyIdOf, newKeySuffix, newTokenId } from "./joined-keys.ts";

const keys = joinedKeys("s".repeat(32));
const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

test("a key hangs on its id and on the Worker's secret, and on nothing else", async () => {
  const newKeyId = () => keyIdOf("gpu-1", newKeySuffix());
  const id = newKeyId();
  const found = await keys.find(id);
  expect(found?.id).toBe(id);
  expect(textOf(found?.secret)).toBe(await keys.secretOf(id));
  expect(await keys.secretOf(id)).toMatch(/^[0-9a-f]{64}$/);
  const others = [keys.secretOf(newKeyId()), joinedKeys("t".repeat(32)).secretOf(id)];
  expect(await Promise.all(others)).not.toContain(await keys.secretOf(id));
  // Written down once: another rule would lock every node out.
  expect(await keys.secretOf("gpu-1.0123456789ab")).toBe(
    "1400fbef560a5c4621b6cd71e734018023b70d77760ea4af3c2169769647a191",
  );
});

test.each([
  "",
  "gpu-1",
  "gpu-1.0123",
  "GPU.0123456789ab",
  "gpu-1.0123456789ab.",
  "a/b.0123456789ab",
])("%o is no key's id", async (id) => {
  expect(await keys.find(id)).toBeUndefined();
});

test("a token proves that it was made here; its key is none", async () => {
  const id = newTokenId();
  const token = await keys.tokenOf(id);
  expect(await keys.tokenId(token)).toBe(id);
  const other = joinedKeys("t".repeat(32));
  expect(await other.tokenId(token)).toBeUndefined();
  const last = token.endsWith("0") ? "1" : "0";
  for (const wrong of [token.slice(0, -1) + last, `${token}0`, token.toUpperCase(), ""]) {
    expect(await keys.tokenId(wrong)).toBeUndefined();
  }
});
