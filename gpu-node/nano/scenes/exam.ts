// The exam: scenes of a seed as PNG pictures, with what is true of them and questions whose answers are known.
// Invariant: the same seed gives the same exam, and no seed gives a scene that training has drawn.

import { captionsOf } from "./captions.ts";
import type { StyleWeights } from "./compose.ts";
import { composeScene } from "./compose.ts";
import { drawScene } from "./draw.ts";
import type { Drawings } from "./drawings.ts";
import type { Question } from "./questions.ts";
import { askQuestions } from "./questions.ts";
import { createRandom } from "./random.ts";
import { encodePng } from "./raster.ts";
import type { Scene } from "./scene.ts";

export interface ExamScene {
  readonly scene: Scene;
  /** One of the captions that are right, for people to read; scoring looks at the scene. */
  readonly caption: string;
  readonly questions: readonly Question[];
}

/** Training counts its seeds up from small numbers; exams live in another range. */
const examSeeds = 0x4000_0000;
const questionsPerScene = 6;

export function writeExam(
  seed: number,
  scenes: number,
  styles: readonly string[],
): readonly ExamScene[] {
  const weights: StyleWeights = Object.fromEntries(styles.map((style) => [style, 1]));
  return Array.from({ length: scenes }, (_, index) => {
    const random = createRandom(examSeeds + seed, index);
    const scene = composeScene(random, weights);
    return {
      scene,
      caption: captionsOf(scene)[0] ?? "",
      questions: askQuestions(scene, questionsPerScene, random),
    };
  });
}

export const pictureOf = async (scene: Scene, drawings: Drawings, side = 224): Promise<Buffer> =>
  encodePng(await drawScene(scene, side, drawings));
