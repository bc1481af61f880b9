import { expect, test } from "vitest";
import { composeScene } from "./compose.ts";
import { mentionsIn } from "./mentions.ts";
import { askQuestions, questionKinds } from "./questions.ts";
import { createRandom } from "./random.ts";
import { objectsOf } from "./scene.ts";
import type { Scene } from "./scene.ts";
import { thingIndex, things } from "./vocabulary.ts";

const styles = { noto: 1 };
const exam = Array.from({ length: 800 }, (_, index) => {
  const random = createRandom(11, index);
  const scene = composeScene(random, styles);
  return { scene, questions: askQuestions(scene, 6, random) };
});
const asked = exam.flatMap(({ scene, questions }) =>
  questions.map((question) => ({ scene, ...question })),
);
const nounsIn = (text: string) => mentionsIn(text).map(({ thing }) => things[thing]?.noun ?? "");
const groupOf = (scene: Scene, noun = "") => scene.groups.find((group) => group.noun === noun);

test("every kind is asked", () => {
  expect(new Set(asked.map(({ kind }) => kind))).toEqual(new Set(questionKinds));
});

test("answers are true, as read from the question's own words", () => {
  for (const { scene, kind, question, answer } of asked) {
    const [first, second] = nounsIn(question);
    switch (kind) {
      case "is there a X":
        expect(answer, question).toBe(groupOf(scene, first) ? "yes" : "no");
        break;
      case "is there a COLOUR X": {
        const colour = groupOf(scene, first)?.colour;
        expect(answer, question).toBe(
          colour != null && question.includes(` ${colour} `) ? "yes" : "no",
        );
        break;
      }
      case "how many X":
        expect(["zero", "one", "two", "three", "four"].indexOf(answer)).toBe(
          groupOf(scene, first)?.objects.length ?? 0,
        );
        break;
      case "how many objects":
        expect(["zero", "one", "two", "three", "four"].indexOf(answer)).toBe(
          objectsOf(scene).length,
        );
        break;
      case "colour of X":
        expect(answer).toBe(groupOf(scene, first)?.colour);
        break;
      case "background":
        expect(answer).toBe(scene.background.colour);
        break;
      case "category":
        expect(groupOf(scene, answer)).toBeDefined();
        break;
      case "is X left of Y": {
        const [one, other] = [
          groupOf(scene, first)?.objects[0],
          groupOf(scene, second)?.objects[0],
        ];
        expect(answer).toBe((one?.x ?? NaN) < (other?.x ?? NaN) ? "yes" : "no");
        break;
      }
      case "what is left of X":
      case "what is above X": {
        const named = groupOf(scene, nounsIn(answer)[0])?.objects[0];
        const from = groupOf(scene, first)?.objects[0];
        const along = kind === "what is above X" ? "y" : "x";
        const smaller = question.includes("left") || question.includes("above");
        expect((named?.[along] ?? NaN) < (from?.[along] ?? NaN)).toBe(smaller);
        break;
      }
    }
  }
});

test("yes and no are balanced", () => {
  for (const kind of ["is there a X", "is there a COLOUR X", "is X left of Y"]) {
    const answers = asked.filter((item) => item.kind === kind).map(({ answer }) => answer);
    const yes = answers.filter((answer) => answer === "yes").length / answers.length;
    expect(yes).toBeGreaterThan(0.4);
    expect(yes).toBeLessThan(0.6);
  }
});

test("a noun of several words is not read as its last word", () => {
  expect(nounsIn("two hot dogs, a dog and a pair of glasses")).toEqual([
    "hot dog",
    "dog",
    "glasses",
  ]);
  expect(mentionsIn("a teddy bear")).toEqual([{ end: 12, thing: thingIndex.get("teddy bear") }]);
});
