import { expect, test } from "vitest";
import { sha256Hex, toHex } from "./hex.ts";

test("bytes keep their leading zeros", () => {
  expect(toHex(Uint8Array.of(0, 10, 255))).toBe("000aff");
});

test('SHA-256 of a text is that of its UTF-8 bytes (FIPS 180-4, the example "abc")', async () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(await sha256Hex("abc")).toBe(abc);
  expect(await sha256Hex(new TextEncoder().encode("abc"))).toBe(abc);
});
