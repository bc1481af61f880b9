import { generationFields } from "@blip2-edge/shared/contracts/generation";
import { expect, test } from "vitest";
import { generationFlags, parseGeneration } from "./generation-flags.ts";

test("every generation field has its flag", () => {
  const flags = Object.keys(generationFields).map((field) => field.replaceAll("_", "-"));
  expect(Object.keys(generationFlags).toSorted()).toEqual(flags.toSorted());
});

test("flags become numbers, what is left out the reference's default", () => {
  expect(parseGeneration({ "max-new-tokens": "7", "repetition-penalty": "1.5" }, "u")).toEqual({
    max_new_tokens: 7,
    min_new_tokens: 0,
    repetition_penalty: 1.5,
    no_repeat_ngram_size: 0,
  });
});

test("every flag at fault is named", () => {
  const wrong = { "max-new-tokens": "many", "no-repeat-ngram-size": "-1", "min-new-tokens": "" };
  expect(() => parseGeneration(wrong, "blip2 caption")).toThrow(
    /--max-new-tokens: .*--min-new-tokens: .*--no-repeat-ngram-size: .*Usage: blip2 caption/,
  );
});
