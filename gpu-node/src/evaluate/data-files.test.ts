// The files of an evaluation: their forms, and every fault by name.
import { describe, expect, test } from "vitest";
import { readCaptionFile } from "./caption-file.ts";
import { readPredictions } from "./prediction-file.ts";
import { readQuestionFiles } from "./question-files.ts";

const file = (content: unknown, name = "data.json") => ({
  name,
  text: typeof content === "string" ? content : JSON.stringify(content),
});
const refused = (detail: RegExp) =>
  expect.objectContaining({
    code: "dataset_invalid",
    detail: expect.stringMatching(detail) as string,
  }) as Error;

describe("captions", () => {
  const images = [
    { id: 7, file_name: "seven.jpg" },
    { id: 9, file_name: "nine.jpg" },
  ];
  const annotations = [
    { id: 1, image_id: 9, caption: "nine" },
    { id: 2, image_id: 7, caption: "seven" },
    { id: 3, image_id: 9, caption: "another nine" },
  ];
  test("COCO's form: the images in their order, each with its captions", () => {
    expect(readCaptionFile(file({ info: {}, images, annotations }))).toEqual([
      { id: 7, file: "seven.jpg", captions: ["seven"] },
      { id: 9, file: "nine.jpg", captions: ["nine", "another nine"] },
    ]);
  });
  test("the Karpathy list, with one caption or several", () => {
    const list = [
      { image: "val/a.jpg", caption: ["one", "two"] },
      { image: "val/b.jpg", caption: "three" },
    ];
    expect(readCaptionFile(file(list))).toEqual([
      { id: "val/a.jpg", file: "val/a.jpg", captions: ["one", "two"] },
      { id: "val/b.jpg", file: "val/b.jpg", captions: ["three"] },
    ]);
  });
  test.each<[string, unknown, RegExp]>([
    [
      "cut short",
      JSON.stringify({ images, annotations }).slice(0, 80),
      /data\.json is not whole JSON.*cut short/,
    ],
    ["of another shape", { images }, /annotations: /],
    ["a wrong field", { images, annotations: [{ image_id: 7 }] }, /annotations\[0\]\.caption/],
    [
      "an image twice",
      { images: [...images, images[0]], annotations },
      /image id more than once: 7\./,
    ],
    [
      "an annotation twice",
      { images, annotations: [...annotations, annotations[0]] },
      /annotation id more than once: 1\./,
    ],
    [
      "a caption of no image",
      { images, annotations: [{ image_id: 5, caption: "x" }] },
      /does not list: 5\./,
    ],
    [
      "an image without caption",
      { images, annotations: annotations.slice(0, 1) },
      /no caption for the images 7\./,
    ],
    [
      "a picture twice",
      [
        { image: "a", caption: "x" },
        { image: "a", caption: "y" },
      ],
      /more than once: a\./,
    ],
    ["nothing", [], /holds no picture/],
  ])("refused: %s", (_, content, detail) => {
    expect(() => readCaptionFile(file(content))).toThrow(refused(detail));
  });
});

describe("questions", () => {
  const asked = { question_id: 1, image_id: 42, question: "What is this?" };
  const answered = {
    question_id: 1,
    image_id: 42,
    question_type: "what is",
    answer_type: "other",
    answers: [{ answer: "cat", answer_confidence: "yes", answer_id: 1 }],
  };
  const read = (
    questions: object,
    annotations: object = { annotations: [answered] },
    imageNames?: string,
  ) =>
    readQuestionFiles({
      questions: file(questions, "q.json"),
      annotations: file(annotations, "a.json"),
      ...(imageNames === undefined ? {} : { imageNames }),
    });

  test("VQA's two files; pictures as COCO names them", () => {
    expect(read({ data_subtype: "val2014", questions: [asked] })).toEqual([
      {
        id: 1,
        file: "COCO_val2014_000000000042.jpg",
        question: "What is this?",
        people: ["cat"],
        answerType: "other",
        questionType: "what is",
      },
    ]);
  });
  test("pictures by the file's own list, by a pattern, or by nothing", () => {
    const images = [{ id: 42, file_name: "scene.png" }];
    expect(read({ images, questions: [asked] })[0]?.file).toBe("scene.png");
    const pattern = "v_{6}/{}.png";
    expect(read({ images, questions: [asked] }, undefined, pattern)[0]?.file).toBe(
      "v_000042/42.png",
    );
    expect(read({ questions: [asked] })[0]?.file).toBeNull();
  });
  test.each<[string, object, object | undefined, RegExp]>([
    ["a question twice", { questions: [asked, asked] }, undefined, /q\.json.*more than once: 1\./],
    [
      "answers to nothing",
      { questions: [asked] },
      { annotations: [answered, { ...answered, question_id: 2 }] },
      /a\.json answers questions that q\.json does not ask: 2\./,
    ],
    [
      "no answers",
      { questions: [asked, { ...asked, question_id: 3 }] },
      undefined,
      /a\.json has no answers to the questions 3\./,
    ],
    [
      "another picture",
      { questions: [{ ...asked, image_id: 41 }] },
      undefined,
      /other images than q\.json for the questions 1\./,
    ],
    [
      "a picture that is not listed",
      { images: [{ id: 1, file_name: "x" }], questions: [asked] },
      undefined,
      /does not list: 42\./,
    ],
    ["nothing", { questions: [] }, undefined, /holds no question/],
  ])("refused: %s", (_, questions, annotations, detail) => {
    expect(() => read(questions, annotations)).toThrow(refused(detail));
  });
});

describe("predictions", () => {
  const said = [
    { image_id: 2, caption: "two" },
    { image_id: 1, caption: "one" },
  ];
  test("in the order that is wanted; under a limit there may be more", () => {
    expect(readPredictions(file(said), "captions", [1, 2], [1, 2])).toEqual(["one", "two"]);
    expect(readPredictions(file(said), "captions", [1], [1, 2])).toEqual(["one"]);
    const answers = [{ question_id: "9", answer: "yes" }];
    expect(readPredictions(file(answers), "answers", [9], [9])).toEqual(["yes"]);
  });
  test("refused: one missing, one unknown, one twice, another kind", () => {
    const read =
      (content: unknown, all = [1, 2]) =>
      () =>
        readPredictions(file(content), "captions", all, all);
    expect(read(said, [1, 2, 3])).toThrow(refused(/says nothing of 3\./));
    expect(read(said, [1])).toThrow(refused(/annotations lack: 2\./));
    expect(read([...said, said[0]])).toThrow(refused(/more than once: 2\./));
    expect(read([{ question_id: 1, answer: "x" }])).toThrow(refused(/image_id/));
  });
});
