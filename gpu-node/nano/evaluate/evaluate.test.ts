import { expect, test } from "vitest";
import { captionsOf } from "../scenes/captions.ts";
import { openDrawings } from "../scenes/drawings.ts";
import type { Question } from "../scenes/questions.ts";
import type { Ask } from "./ask.ts";
import { askOverHttp } from "./ask.ts";
import { evaluate } from "./evaluate.ts";
import { writeExam } from "../scenes/exam.ts";
import { parseCaption } from "./parse-caption.ts";
import { asMarkdown, asText } from "./report.ts";
import { ratio, scoreAnswers, scoreCaptions } from "./score.ts";

const exam = writeExam(5, 300, ["noto", "fluent-emoji-flat"]);

test("an exam is the same for the same seed", () => {
  expect(writeExam(5, 300, ["noto", "fluent-emoji-flat"])).toEqual(exam);
  expect(writeExam(6, 300, ["noto", "fluent-emoji-flat"])).not.toEqual(exam);
});

test("a scene's own caption is wholly right in every frame", () => {
  for (const { scene } of exam) {
    for (const caption of captionsOf(scene)) {
      const scores = scoreCaptions([[scene, caption]]);
      expect(Object.values(scores).map(ratio), caption).toEqual([1, 1, 1, 1, 1, 1]);
    }
  }
});

test("another scene's caption is wrong", () => {
  const shifted = exam.map(
    ({ scene }, index) => [scene, exam[(index + 1) % exam.length]?.caption ?? ""] as const,
  );
  const scores = scoreCaptions(shifted);
  expect(ratio(scores.objectRecall)).toBeLessThan(0.1);
  expect(ratio(scores.wholeCaption)).toBeLessThan(0.02);
});

test("each kind of mistake costs what it should", () => {
  const item =
    exam.find(({ caption }) => /^two red \w+ and an? \w+ on a/.test(caption)) ??
    exam.find(({ scene }) => scene.groups.length === 2 && scene.groups[0]?.colour != null);
  if (item === undefined) throw new Error("no such scene in the exam");
  const { scene, caption } = item;
  const { background } = scene;
  const wrongBackground = caption.replace(
    `${background.colour} background`,
    `${background.colour === "red" ? "blue" : "red"} background`,
  );
  expect(ratio(scoreCaptions([[scene, wrongBackground]]).objectRecall)).toBe(1);
  expect(ratio(scoreCaptions([[scene, wrongBackground]]).background)).toBe(0);
  expect(ratio(scoreCaptions([[scene, wrongBackground]]).wholeCaption)).toBe(0);
  const onlyOne = `${caption.split(" and ")[0]} on a ${background.colour} background`;
  expect(ratio(scoreCaptions([[scene, onlyOne]]).objectRecall)).toBe(0.5);
  expect(ratio(scoreCaptions([[scene, onlyOne]]).objectPrecision)).toBe(1);
  const extra = caption.replace(" and ", ", a wombat and ");
  expect(ratio(scoreCaptions([[scene, extra]]).objectPrecision)).toBeCloseTo(2 / 3);
  expect(ratio(scoreCaptions([[scene, extra]]).wholeCaption)).toBe(0);
});

test("captions are read back into groups", () => {
  expect(
    parseCaption(
      "a picture of two red cars and a pair of glasses in front of an orange background",
    ),
  ).toEqual({
    groups: [
      { noun: "car", colour: "red", count: 2 },
      { noun: "glasses", colour: null, count: 1 },
    ],
    unknown: [],
    background: "orange",
  });
  expect(parseCaption("a dog above a red dog")).toEqual({
    groups: [{ noun: "dog", colour: null, count: 1 }],
    unknown: ["a red dog"],
    background: null,
  });
});

test("the blind guess is the share of the commonest answer of the kind", () => {
  const ask = (answer: string): Question => ({ kind: "how many X", question: "?", answer });
  const scores = scoreAnswers([
    [ask("two"), "two"],
    [ask("two"), " Two."],
    [ask("three"), "two"],
    [ask("one"), ""],
  ]);
  expect(scores.all).toEqual({ right: 2, of: 4 });
  expect(scores.byKind).toEqual([{ kind: "how many X", right: 2, of: 4, blind: 0.5 }]);
});

const options = { seed: 5, scenes: 60, gates: "default" } as const;

/** Knows the exam by heart; `wrong` answers nothing right. */
function oracle(wrong: boolean): Ask {
  const sat = writeExam(options.seed, options.scenes, ["noto", "fluent-emoji-flat"]);
  let captions = 0;
  let answers = 0;
  return {
    caption: () => Promise.resolve(wrong ? "a wombat" : (sat[captions++]?.caption ?? "")),
    answer: () =>
      Promise.resolve(wrong ? [] : (sat[answers++]?.questions ?? []).map(({ answer }) => answer)),
  };
}

test("an oracle passes every gate, a mute fails every one", async () => {
  const drawings = await openDrawings();
  const perfect = await evaluate(oracle(false), drawings, { ...options, parallel: 1 });
  expect(perfect.gates.filter(({ passed }) => !passed)).toEqual([]);
  expect(perfect.wrongCaptions).toEqual([]);
  expect(asText(perfect)).toContain("gates hold");
  expect(asMarkdown(perfect)).toContain("| object recall | 1.000 |");

  const mute = await evaluate(oracle(true), drawings, { ...options, parallel: 1 });
  // With no noun named there is no colour to be wrong about.
  expect(mute.gates.filter(({ passed }) => passed).map(({ name }) => name)).toEqual(["colour"]);
  expect(mute.wrongCaptions).toHaveLength(options.scenes);
});

test("the HTTP door sends the picture and the questions and reads the answers", async () => {
  const sent: { url: string; key: string | null; request: unknown; bytes: number }[] = [];
  const ask = askOverHttp({
    url: "http://127.0.0.1:1",
    key: "k",
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const form = await request.formData();
      const json = JSON.parse(await (form.get("request") as File).text()) as {
        questions?: string[];
      };
      sent.push({
        url: request.url,
        key: request.headers.get("authorization"),
        request: json,
        bytes: (form.get("image") as File).size,
      });
      const answers = json.questions?.map((question) => ({ question, answer: "yes" }));
      return Response.json(answers === undefined ? { text: "a dog" } : { answers });
    },
  });
  expect(await ask.caption(new Uint8Array(9))).toBe("a dog");
  expect(await ask.answer(new Uint8Array(9), ["is there a dog?"])).toEqual(["yes"]);
  expect(sent.map(({ url, key, bytes }) => [new URL(url).pathname, key, bytes])).toEqual([
    ["/v1/caption", "Bearer k", 9],
    ["/v1/vqa", "Bearer k", 9],
  ]);
});
