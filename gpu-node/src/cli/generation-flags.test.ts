import { generationFields, resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { expect, test } from "vitest";
import { generationFlags, parseGeneration, spellOutFlags } from "./generation-flags.ts";

test("every generation field has its flag", () => {
  const flags = Object.keys(generationFields).map((field) => field.replaceAll("_", "-"));
  expect(Object.keys(generationFlags).toSorted()).toEqual(flags.toSorted());
});

test("flags become numbers, what is left out the reference's default", () => {
  const { generation, notes } = parseGeneration(
    { "max-new-tokens": "7", "repetition-penalty": "1.5", "early-stopping": "never" },
    "u",
  );
  expect(generation).toEqual(resolveGeneration({ max_new_tokens: 7, repetition_penalty: 1.5 }));
  expect(notes).toEqual(["`early_stopping` changed nothing: it is for num_beams above 1."]);
});

test("a flag of two words may stand alone", () => {
  const args = [
    "a.png",
    "--do-sample",
    "--early-stopping",
    "never",
    "--seed",
    "1",
    "--early-stopping",
  ];
  expect(spellOutFlags(args)).toEqual([
    ...["a.png", "--do-sample=true", "--early-stopping", "never", "--seed", "1"],
    "--early-stopping=true",
  ]);
  expect(spellOutFlags(["--", "--do-sample"])).toEqual(["--", "--do-sample"]);
  expect(spellOutFlags(["--length-penalty", "-1.5", "a.png", "--do-sample"])).toEqual([
    ...["--length-penalty=-1.5", "a.png", "--do-sample=true"],
  ]);
  const { generation } = parseGeneration(
    { "do-sample": "true", "num-beams": "2", "early-stopping": "false", seed: "0" },
    "u",
  );
  expect(generation).toMatchObject({ do_sample: true, early_stopping: false, seed: 0 });
});

test("a combination that the reference refuses is named", () => {
  expect(() => parseGeneration({ "num-return-sequences": "2" }, "u")).toThrow(
    /--num-return-sequences: must be 1 in greedy decoding/,
  );
});

test("every flag at fault is named", () => {
  const wrong = { "max-new-tokens": "many", "no-repeat-ngram-size": "-1", "min-new-tokens": "" };
  expect(() => parseGeneration(wrong, "blip2 caption")).toThrow(
    /--max-new-tokens: .*--min-new-tokens: .*--no-repeat-ngram-size: .*Usage: blip2 caption/,
  );
});
