// An endless stream of training scenes on standard output. Each frame: a little-endian uint32 with the length of
// a JSON text, that text, then side × side × 3 bytes of RGB. Scene n of a seed is the same whatever came before it.

import { once } from "node:events";
import type { Writable } from "node:stream";
import { pickCaption } from "./captions.ts";
import type { Mix, StyleWeights } from "./compose.ts";
import { composeScene } from "./compose.ts";
import { drawScene } from "./draw.ts";
import type { Drawings } from "./drawings.ts";
import { mentionsIn } from "./mentions.ts";
import type { Question } from "./questions.ts";
import { askQuestions } from "./questions.ts";
import { createRandom } from "./random.ts";
import type { Scene } from "./scene.ts";
import type { Statements } from "./statements.ts";
import { stateScene } from "./statements.ts";
import { colours, thingIndex } from "./vocabulary.ts";

export interface StreamOptions {
  readonly seed: number;
  /** First scene of the seed to send. */
  readonly from: number;
  readonly count: number;
  readonly side: number;
  readonly questions: number;
  /** False statements per scene; zero sends no statements at all. */
  readonly falses: number;
  readonly styles: StyleWeights;
  readonly mixes: Readonly<Partial<Record<Mix, number>>>;
}

export async function streamScenes(
  options: StreamOptions,
  drawings: Drawings,
  out: Writable,
): Promise<void> {
  const mixes = Object.keys(options.mixes) as Mix[];
  const weights = Object.values(options.mixes);
  for (let index = options.from; index < options.from + options.count; index++) {
    const random = createRandom(options.seed, index);
    const mix = mixes[random.weighted(weights)] ?? "mixed";
    const scene = composeScene(random, options.styles, mix);
    const caption = pickCaption(scene, random);
    const questions = askQuestions(scene, options.questions, random);
    const statements = options.falses > 0 ? stateScene(scene, options.falses, random) : null;
    const { data } = await drawScene(scene, options.side, drawings);
    const json = Buffer.from(JSON.stringify(labelsOf(scene, caption, questions, statements)));
    const head = Buffer.alloc(4);
    head.writeUInt32LE(json.length);
    if (!out.write(Buffer.concat([head, json, data]))) await once(out, "drain");
  }
}

/** Short names, since this is read a million times; `labels.py` spells them out. */
function labelsOf(
  scene: Scene,
  caption: string,
  questions: readonly Question[],
  statements: Statements | null,
) {
  const texts = [
    { kind: "caption", prompt: "", answer: caption },
    ...questions.map(({ kind, question, answer }) => ({
      kind,
      prompt: `Question: ${question} Answer:`,
      answer: ` ${answer}`,
    })),
  ];
  return {
    background: colours.indexOf(scene.background.colour),
    objects: scene.groups.flatMap((group, groupIndex) =>
      group.objects.map((object) => [
        thingIndex.get(object.noun) ?? -1,
        object.colour === null ? -1 : colours.indexOf(object.colour),
        round(object.x),
        round(object.y),
        round(object.size),
        groupIndex,
      ]),
    ),
    texts: texts.map(({ kind, prompt, answer }) => [
      kind,
      prompt,
      answer,
      mentionsIn(prompt + answer).map(({ end, thing }) => [end, thing]),
    ]),
    ...(statements === null
      ? {}
      : {
          statements: [statements.whole, statements.partial, ...statements.falses].map(
            ({ kind, text, claims }) => [
              kind,
              text,
              mentionsIn(text).map(({ end, thing }) => [end, thing]),
              claims.groups.map(({ noun, colour, count }) => [
                thingIndex.get(noun) ?? -1,
                colour === null ? -1 : colours.indexOf(colour),
                count ?? -1,
              ]),
              claims.background === null ? -1 : colours.indexOf(claims.background),
            ],
          ),
        }),
  };
}

const round = (value: number): number => Math.round(value * 1e4) / 1e4;
