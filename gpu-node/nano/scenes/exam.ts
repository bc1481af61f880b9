// The exam: scenes of a seed as PNG pictures, with what is true of them and questions whose answers are known.
// Invariant: the same seed gives the same exam, and no seed gives a scene that training has drawn.

import { captionsOf } from "./captions.ts";
import type { StyleWeights } from "./compose.ts";
import { composeScene } from "./compose.ts";
import { drawScene } from "./draw.ts";
import type { Drawings } from "./drawings.ts";
import type { Question } from "./questions.ts";
import { askQuestions } from "./questions.ts";
import type { Random } from "./random.ts";
import { createRandom } from "./random.ts";
import { encodePng } from "./raster.ts";
import type { Scene } from "./scene.ts";
import type { Statements } from "./statements.ts";
import { stateScene } from "./statements.ts";

export interface ExamScene {
  readonly scene: Scene;
  /** One of the captions that are right, for people to read; scoring looks at the scene. */
  readonly caption: string;
  readonly questions: readonly Question[];
}

export interface StatedScene {
  readonly scene: Scene;
  readonly statements: Statements;
}

/** Training counts its seeds up from small numbers; exams live in another range. */
const examSeeds = 0x4000_0000;
const questionsPerScene = 6;
const falsesPerScene = 4;

export const writeExam = (
  seed: number,
  scenes: number,
  styles: readonly string[],
): readonly ExamScene[] =>
  examScenes(seed, scenes, styles, (scene, random) => ({
    scene,
    caption: captionsOf(scene)[0] ?? "",
    questions: askQuestions(scene, questionsPerScene, random),
  }));

/** The same scenes, with statements that are true of them and statements that nearly are. */
export const writeStatements = (
  seed: number,
  scenes: number,
  styles: readonly string[],
): readonly StatedScene[] =>
  examScenes(seed, scenes, styles, (scene, random) => ({
    scene,
    statements: stateScene(scene, falsesPerScene, random),
  }));

function examScenes<Item>(
  seed: number,
  scenes: number,
  styles: readonly string[],
  ask: (scene: Scene, random: Random) => Item,
): readonly Item[] {
  const weights: StyleWeights = Object.fromEntries(styles.map((style) => [style, 1]));
  return Array.from({ length: scenes }, (_, index) => {
    const random = createRandom(examSeeds + seed, index);
    return ask(composeScene(random, weights), random);
  });
}

export const pictureOf = async (scene: Scene, drawings: Drawings, side = 224): Promise<Buffer> =>
  encodePng(await drawScene(scene, side, drawings));
