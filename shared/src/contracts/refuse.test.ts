import { describe, expect, test } from "vitest";
import { AppError } from "../problem.ts";
import { generationFields } from "./generation.ts";
import { captionQuerySchema, captionRequestSchema } from "./caption.ts";
import { parseOrRefuse, queryFields } from "./refuse.ts";
import { vqaOptionsSchema, vqaRequestSchema } from "./vqa.ts";

const image = { url: "https://example.com/a.jpg" };

function refused(action: () => unknown): AppError {
  try {
    action();
  } catch (error) {
    if (error instanceof AppError) {
      expect(error.code).toBe("invalid_request");
      return error;
    }
    throw error;
  }
  throw new Error("it was accepted");
}

const detail = (...[schema, value]: Parameters<typeof parseOrRefuse>) =>
  refused(() => parseOrRefuse(schema, value)).detail;

test("what is right passes as it is", () => {
  const request = { image, prompt: "a photo of", num: undefined, max_new_tokens: 256 };
  const { num: _, ...clean } = request;
  expect(parseOrRefuse(captionRequestSchema, clean)).toEqual(clean);
});

describe("faults in the caller's words", () => {
  const cases: [string, Parameters<typeof parseOrRefuse>[0], unknown, string][] = [
    ["not an object", captionRequestSchema, [], "The request must be an object."],
    ["no image", captionRequestSchema, {}, "`image` is missing."],
    [
      "two forms of an image",
      captionRequestSchema,
      { image: { ...image, base64: "AA==" } },
      '`image` must be one of {"url": "…"}, {"base64": "…"} and {"image_id": "img_…"}.',
    ],
    [
      "an unknown field",
      captionRequestSchema,
      { image, confidence: 1 },
      "`confidence` is an unknown field.",
    ],
    [
      "a misspelt field",
      captionRequestSchema,
      { image, max_new_token: 1 },
      "`max_new_token` is an unknown field (did you mean `max_new_tokens`?).",
    ],
    ["an empty prompt", captionRequestSchema, { image, prompt: "" }, "`prompt` is empty."],
    [
      "a number too large",
      captionRequestSchema,
      { image, max_new_tokens: 1000 },
      "`max_new_tokens` must be at most 256.",
    ],
    [
      "not a whole number",
      captionRequestSchema,
      { image, max_new_tokens: 1.5 },
      "`max_new_tokens` must be a whole number.",
    ],
    [
      "a text for a number",
      captionRequestSchema,
      { image, repetition_penalty: "1" },
      "`repetition_penalty` must be a number.",
    ],
    [
      "zero where more is needed",
      captionRequestSchema,
      { image, repetition_penalty: 0 },
      "`repetition_penalty` must be more than 0.",
    ],
    [
      "not one of three words",
      captionRequestSchema,
      { image, early_stopping: "soon" },
      '`early_stopping` must be true, false or "never".',
    ],
    [
      "several greedy texts",
      vqaRequestSchema,
      { image, question: "what?", num_return_sequences: 2 },
      "`num_return_sequences` must be 1 in greedy decoding; set `num_beams` or `do_sample` for more.",
    ],
    [
      "no model name",
      captionRequestSchema,
      { image, model: "A B" },
      "`model` must be the name of a model, such as blip2-opt-2.7b.",
    ],
    ["an empty question", vqaRequestSchema, { image, question: "  " }, "`question` is empty."],
    [
      "10,000 characters",
      vqaRequestSchema,
      { image, question: "x".repeat(10_000) },
      "`question` must have at most 2,000 characters.",
    ],
    [
      "one bad question of several",
      vqaRequestSchema,
      { image, questions: ["what?", ""] },
      "`questions[1]` is empty.",
    ],
    [
      "too many questions",
      vqaRequestSchema,
      { image, questions: Array.from({ length: 17 }, () => "what?") },
      "`questions` must have at most 16 entries.",
    ],
    [
      "no question",
      vqaOptionsSchema,
      {},
      "`question` or `questions` must be given, and only one of them.",
    ],
    [
      "a template without its place",
      vqaRequestSchema,
      { image, question: "what?", template: "Q:" },
      "`template` must contain {} exactly once.",
    ],
  ];
  for (const [name, schema, value, expected] of cases) {
    test(name, () => expect(detail(schema, value)).toBe(expected));
  }

  test("every fault is listed, by field, without the values", () => {
    const error = refused(() =>
      parseOrRefuse(captionRequestSchema, {
        image,
        prompt: "",
        tokne: "s3cret",
        min_new_tokens: -1,
      }),
    );
    expect(error.errors).toEqual([
      { field: "prompt", message: "is empty" },
      { field: "min_new_tokens", message: "must be at least 0" },
      { field: "tokne", message: "is an unknown field" },
    ]);
    expect(error.detail).not.toContain("s3cret");
  });

  test("hundreds of faults and very long names stay short", () => {
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`f${index}`.padEnd(5000, "x"), 1]),
    );
    const error = refused(() => parseOrRefuse(captionRequestSchema, { image, ...many }));
    expect(error.errors).toHaveLength(20);
    expect(error.detail).toContain("and 280 more faults");
    expect(error.detail.length).toBeLessThan(3000);
  });
});

describe("a query", () => {
  const parse = (query: string) =>
    parseOrRefuse(captionQuerySchema, queryFields(new URLSearchParams(query)), "The query");

  test("has numbers as text", () => {
    expect(parse("url=https://e.org/a&max_new_tokens=5&repetition_penalty=1.5")).toEqual({
      url: "https://e.org/a",
      max_new_tokens: 5,
      repetition_penalty: 1.5,
    });
  });

  test("has every generation field, truths as words", () => {
    const query = {
      ...{ max_length: "60", min_length: "40", num_beams: "3", length_penalty: "-0.5" },
      ...{ early_stopping: "never", do_sample: "true", temperature: "0.7", top_k: "5" },
      ...{ top_p: "0.9", num_return_sequences: "2", seed: "7", min_new_tokens: "1" },
      ...{ no_repeat_ngram_size: "2", max_new_tokens: "9", repetition_penalty: "1.5" },
    };
    expect(Object.keys(query).toSorted()).toEqual(Object.keys(generationFields).toSorted());
    const { url: _, ...read } = parse(`url=a&${new URLSearchParams(query).toString()}`);
    expect(read).toEqual({
      ...Object.fromEntries(Object.entries(query).map(([name, text]) => [name, Number(text)])),
      early_stopping: "never",
      do_sample: true,
    });
    expect(parse("url=a&early_stopping=false")).toEqual({ url: "a", early_stopping: false });
  });

  test("is refused when something in it is not right", () => {
    const said = (query: string) => refused(() => parse(query)).detail;
    expect(said("")).toBe("`url` is missing.");
    expect(said("url=a&url=b")).toBe("`url` is given more than once.");
    expect(said("url=a&max_new_tokens=")).toBe("`max_new_tokens` must be a number.");
    expect(said("url=a&max_new_tokens=0x10")).toBe("`max_new_tokens` must be a number.");
    expect(said("url=a&__proto__=1")).toBe("`__proto__` is an unknown field.");
  });
});
