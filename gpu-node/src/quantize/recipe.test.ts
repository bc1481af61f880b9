import { describe, expect, test } from "vitest";
import { precisionSchema } from "../artifact/precision.ts";
import { builtInRecipe, parseRecipe, partStorage, precisionOf, precisions } from "./recipe.ts";

const parts = ["vision", "qformer", "decoder"];

describe("built-in recipes", () => {
  test("fp32 is spelled as it always was: nothing cached under it is lost", () => {
    expect(precisionOf(builtInRecipe("fp32"), parts)).toEqual({
      name: "fp32",
      parts: { vision: "fp32", qformer: "fp32", decoder: "fp32" },
    });
  });

  test("int4 says to the last block size what it is", () => {
    const bridge = { bits: 8, block: 32, zero_points: false };
    const careful = { bits: 8, block: 128, zero_points: false };
    const coarse = {
      matrices: { bits: 4, block: 128, zero_points: true },
      tables: careful,
      head: careful,
    };
    expect(precisionOf(builtInRecipe("int4"), parts)).toEqual({
      name: "int4",
      parts: {
        vision: coarse,
        qformer: { matrices: bridge, tables: bridge, head: bridge },
        decoder: coarse,
      },
    });
  });

  test("are what a manifest may say", () => {
    for (const name of precisions) {
      const precision = precisionOf(builtInRecipe(name), parts);
      expect(precisionSchema.parse(precision)).toEqual(precision);
    }
  });
});

describe("a recipe of one's own", () => {
  test("names parts, storage and the rest", () => {
    const recipe = parseRecipe(
      {
        name: "mine",
        parts: {
          vision: "fp16",
          decoder: {
            matrices: { precision: "int4", block: 64, zero_points: false },
            tables: "fp16",
          },
        },
      },
      "mine.json",
    );
    expect(precisionOf(recipe, parts)).toEqual({
      name: "mine",
      parts: {
        vision: "fp16",
        qformer: "fp32",
        decoder: {
          matrices: { bits: 4, block: 64, zero_points: false },
          tables: "fp16",
          head: { bits: 8, block: 64, zero_points: false },
        },
      },
    });
    expect(partStorage(recipe, "encoder").matrices).toBe("fp32");
  });

  test("rows are for matrices; what else the part stores is in blocks of 8 bits", () => {
    const rows = { precision: "int8-rows", rotation: 64 };
    const { parts: stored } = precisionOf(
      parseRecipe(
        { name: "mine", parts: { vision: "int8-rows", qformer: { matrices: rows } } },
        "x",
      ),
      parts,
    );
    const head = { bits: 8, block: 128, zero_points: false };
    expect(stored["vision"]).toEqual({ matrices: { bits: 8, rotation: 32 }, tables: head, head });
    expect(stored["qformer"]).toMatchObject({ matrices: { bits: 8, rotation: 64 } });
  });

  test.each([
    [{ name: "a", others: { matrices: "fp32", head: "int8-rows" } }, /others\.head\.precision: /],
    [
      { name: "a", others: { matrices: { precision: "int8-rows", block: 32 } } },
      /others\.matrices\.block: int8-rows has no blocks/,
    ],
    [
      { name: "a", others: { matrices: { precision: "int8", rotation: 32 } } },
      /others\.matrices\.rotation: int8 has no rotation/,
    ],
    [{ name: "Mine" }, /^The recipe a\.json is faulty: name: /],
    [{ parts: {} }, /: name: /],
    [{ name: "a", parts: { vison: "int8" } }, /: parts.*vison/],
    [{ name: "a", parts: { vision: "int3" } }, /: parts\.vision\.matrices\.precision: .*int8/],
    [
      { name: "a", parts: { decoder: { matrices: { precision: "int4", block: 48 } } } },
      /: parts\.decoder\.matrices\.block: /,
    ],
    [
      { name: "a", others: { matrices: { precision: "fp16", block: 32 } } },
      /: others\.matrices\.block: fp16 has no blocks/,
    ],
    [{ name: "a", colour: 1 }, /colour/],
    [{ name: "a", others: { matrices: "int8", heads: "int8" } }, /: others: .*heads/],
    [
      { name: "a", parts: { vision: { matrices: "int8", cache: "fp32" } } },
      /: parts\.vision\.cache: only the part decoder has a cache/,
    ],
    [
      { name: "a", others: { matrices: "int8", cache: "fp32" } },
      /: others\.cache: only the part decoder has a cache/,
    ],
    ["int8", /faulty: .*expected object/],
  ])("%j is refused, and the field named", (json, message) => {
    expect(() => parseRecipe(json, "a.json")).toThrow(message);
  });

  test("every fault is named", () => {
    expect(() => parseRecipe({ name: "a", parts: { vision: 1, decoder: "int2" } }, "x")).toThrow(
      /parts\.vision.*; parts\.decoder/,
    );
  });
});
