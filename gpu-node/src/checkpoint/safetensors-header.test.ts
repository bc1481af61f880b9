import { AppError } from "@blip2-edge/shared/problem";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { maxHeaderBytes, parseHeader, parseHeaderLength } from "./safetensors-header.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (header: unknown, dataBytes: number) => {
  const bytes = encode(typeof header === "string" ? header : JSON.stringify(header));
  return parseHeader(bytes, 8 + bytes.length + dataBytes, "model.safetensors");
};
const prefix = (length: bigint): Uint8Array => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
};
const tensor = (shape: unknown, offsets: unknown, dtype: unknown = "F32") => ({
  dtype,
  shape,
  data_offsets: offsets,
});

describe("parseHeaderLength", () => {
  test.each([
    ["longer than the file", 1000n, 500, /announces a header of 1000 bytes.*truncated/],
    ["over the cap", BigInt(maxHeaderBytes) + 1n, 2 ** 40, /are accepted/],
    ["beyond 2^53", 2n ** 63n, 500, /9223372036854775808/],
    ["zero", 0n, 500, /not a safetensors file/],
  ])("refuses a length %s", (_, length, fileBytes, message) => {
    expect(() => parseHeaderLength(prefix(length), fileBytes, "a.safetensors")).toThrow(message);
  });

  test("refuses a file that is too short to say", () => {
    expect(() => parseHeaderLength(new Uint8Array(3), 3, "a.safetensors")).toThrow(
      /a\.safetensors is 3 bytes/,
    );
  });

  test("takes a length that fits", () => {
    expect(parseHeaderLength(prefix(100n), 108, "a")).toBe(100);
  });
});

describe("parseHeader", () => {
  test("gives type, shape and place of every tensor, in the order of the file", () => {
    const header = {
      __metadata__: { format: "pt" },
      b: tensor([2, 3], [4, 16], "F16"),
      a: tensor([], [0, 4]),
      empty: tensor([0, 5], [16, 16]),
    };
    const start = 8 + encode(JSON.stringify(header)).length;
    expect(parse(header, 16)).toEqual([
      { name: "a", dtype: "F32", shape: [], file: "model.safetensors", offset: start, bytes: 4 },
      {
        name: "b",
        dtype: "F16",
        shape: [2, 3],
        file: "model.safetensors",
        offset: start + 4,
        bytes: 12,
      },
      {
        name: "empty",
        dtype: "F32",
        shape: [0, 5],
        file: "model.safetensors",
        offset: start + 16,
        bytes: 0,
      },
    ]);
  });

  const one = { shape: [2], data_offsets: [0, 8], dtype: "F32" };
  test.each<[string, unknown, number, RegExp]>([
    ["no JSON", "{oops", 0, /not JSON/],
    ["an array", "[]", 0, /not a JSON object/],
    [
      "a name twice",
      '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0077":1}',
      4,
      /"w" twice/,
    ],
    ["a field twice", '{"w":{"dtype":"F32","dtype":"F16"}}', 4, /"dtype" twice/],
    ["an entry that is no object", { w: 3 }, 0, /"w": its header entry is not an object/],
    ["an unknown field", { w: { ...one, evil: 1 } }, 8, /unknown field "evil"/],
    ["an unknown dtype", { w: tensor([2], [0, 8], "F31") }, 8, /unknown dtype "F31"/],
    ["a dtype from the prototype", { w: tensor([2], [0, 8], "toString") }, 8, /unknown dtype/],
    ["a negative size", { w: tensor([-2], [0, 8]) }, 8, /"w": its shape is not/],
    ["a fractional size", { w: tensor([0.5, 4], [0, 8]) }, 8, /its shape is not/],
    ["a size beyond 2^53", { w: tensor([2 ** 53], [0, 8]) }, 8, /its shape is not/],
    [
      "a product beyond 2^53",
      { w: tensor([2 ** 40, 2 ** 40], [0, 8]) },
      8,
      /takes .* but data_offsets/,
    ],
    ["too many axes", { w: tensor(Array(9).fill(1), [0, 4]) }, 4, /at most 8 sizes/],
    ["offsets reversed", { w: tensor([2], [8, 0]) }, 8, /in order/],
    ["a negative offset", { w: tensor([2], [-8, 0]) }, 8, /in order/],
    ["one offset", { w: tensor([2], [0]) }, 8, /pair of offsets/],
    ["offsets as text", { w: tensor([2], ["0", "8"]) }, 8, /in order/],
    [
      "a shape that the bytes do not hold",
      { w: tensor([3], [0, 8]) },
      8,
      /takes 12 bytes but data_offsets spans 8/,
    ],
    ["an overlap", { v: one, w: tensor([2], [4, 12]) }, 12, /"w": its place in the file overlaps/],
    ["a gap", { w: tensor([2], [4, 12]) }, 12, /"w": its place in the file leaves a gap/],
    ["data that is not there", { w: tensor([2], [0, 8]) }, 7, /not finished.*Download it again/],
    ["data that nobody asked for", { w: tensor([2], [0, 8]) }, 9, /extra data/],
  ])("refuses %s", (_, header, dataBytes, message) => {
    expect(() => parse(header, dataBytes)).toThrow(AppError);
    expect(() => parse(header, dataBytes)).toThrow(message);
    expect(() => parse(header, dataBytes)).toThrow(/model\.safetensors/);
  });

  test("refuses what is not UTF-8", () => {
    expect(() => parseHeader(Uint8Array.of(0x7b, 0xff, 0x7d), 11, "m")).toThrow(
      /not JSON in UTF-8/,
    );
  });

  test("a tensor may have a name of Object's own", () => {
    const header = '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    expect(parse(header, 4).map(({ name }) => name)).toEqual(["__proto__"]);
  });

  test("no header does anything but parse or be refused by name", () => {
    const number = fc.oneof(fc.nat(40), fc.constantFrom(-1, 0.5, 2 ** 53, 1e300, null, "8"));
    const entry = fc.record(
      {
        dtype: fc.constantFrom("F32", "F16", "BF16", "I64", "x", 3),
        shape: fc.oneof(fc.array(number, { maxLength: 10 }), fc.constant("x")),
        data_offsets: fc.oneof(fc.array(number, { maxLength: 3 }), fc.constant(null)),
        extra: fc.constant(1),
      },
      { requiredKeys: [] },
    );
    const header = fc.oneof(
      fc
        .dictionary(fc.string(), fc.oneof(entry, fc.jsonValue()))
        .map((value) => JSON.stringify(value)),
      fc.string(),
      fc.json(),
    );
    fc.assert(
      fc.property(header, fc.nat(200), (text, dataBytes) => {
        const bytes = encode(text);
        const fileBytes = 8 + bytes.length + dataBytes;
        try {
          const entries = parseHeader(bytes, fileBytes, "fuzzed.safetensors");
          const total = entries.reduce((sum, { bytes: size }) => sum + size, 0);
          expect(total).toBe(dataBytes);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          expect(error).toMatchObject({ code: "checkpoint_invalid" });
          expect(String(error)).toContain("fuzzed.safetensors");
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("damage anywhere in a good header is noticed or harmless", () => {
    const good = JSON.stringify({ v: one, w: tensor([3], [8, 14], "BF16") });
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 32, max: 126 }), (at, code) => {
        const text = good.slice(0, at) + String.fromCharCode(code) + good.slice(at + 1);
        try {
          for (const { shape } of parse(text, 14)) expect(shape.length).toBe(1);
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
