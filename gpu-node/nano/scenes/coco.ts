// An exam as COCO-format files, for `blip2 eval`: the pictures, what is true of each as its captions, questions
// that all ten people answer alike, the same captions as a retrieval list, statements with all scenes of which they
// are true, the nouns of each, and texts that none of them answers.

import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { captionsOf } from "./captions.ts";
import type { Drawings } from "./drawings.ts";
import { pictureOf, writeExam, writeStatements } from "./exam.ts";
import { numberWords } from "./grammar.ts";
import { nonsense } from "./nonsense.ts";
import { createRandom } from "./random.ts";
import { holds } from "./statements.ts";

/** As many as were asked about each picture of VQA. */
const people = 10;

/** Each statement is held against each scene. */
const maxQueried = 5000;

/** VQA's annotations write numbers as digits. */
function asAnnotated(answer: string): { answer: string; answer_type: string } {
  const number = (numberWords as readonly string[]).indexOf(answer);
  if (number >= 0) return { answer: String(number), answer_type: "number" };
  return { answer, answer_type: answer === "yes" || answer === "no" ? "yes/no" : "other" };
}

/**
 * Writes OUT/pictures and OUT/{captions,questions,annotations,retrieval,labels,unanswered}.json, and queries.json for 5,000
 * scenes at the most; OUT appears whole or not at all.
 * Errors: the disk's; when OUT is there and not empty.
 */
export async function writeCoco(
  options: { readonly seed: number; readonly count: number; readonly out: string },
  drawings: Drawings,
): Promise<void> {
  const { seed, count, out } = options;
  const there = await readdir(out).catch(() => []);
  if (there.length > 0) throw new Error(`${out} is not empty; choose another --out or remove it.`);
  const exam = writeExam(seed, count, drawings.styles);
  const digits = Math.max(6, String(count).length);
  const items = exam.map((item, index) => ({
    ...item,
    image: { id: index + 1, file_name: `scene-${String(index + 1).padStart(digits, "0")}.png` },
    captions: captionsOf(item.scene),
  }));
  const images = items.map(({ image }) => image);
  const statements =
    count > maxQueried
      ? []
      : writeStatements(seed, count, drawings.styles).flatMap(({ statements: stated }) => [
          stated.whole,
          stated.partial,
        ]);
  const asked = items.flatMap(({ image, questions }) =>
    questions.map((question) => ({ ...question, image_id: image.id })),
  );

  const files = {
    "captions.json": {
      images,
      annotations: items
        .flatMap(({ image, captions }) =>
          captions.map((caption) => ({ image_id: image.id, caption })),
        )
        .map((annotation, index) => ({ id: index + 1, ...annotation })),
    },
    "questions.json": {
      images,
      questions: asked.map(({ image_id, question }, index) => ({
        question_id: index + 1,
        image_id,
        question,
      })),
    },
    "annotations.json": {
      annotations: asked.map(({ image_id, kind, answer }, index) => {
        const { answer_type, ...said } = asAnnotated(answer);
        return {
          question_id: index + 1,
          image_id,
          question_type: kind,
          answer_type,
          answers: Array.from({ length: people }, (_, at) => ({ answer_id: at + 1, ...said })),
        };
      }),
    },
    "retrieval.json": items.map(({ image, captions }) => ({
      image: image.file_name,
      caption: captions,
    })),
    "labels.json": items.map(({ image, scene }) => ({
      image: image.file_name,
      labels: scene.groups.map(({ noun }) => noun),
    })),
    "unanswered.json": [
      ...new Set(Array.from({ length: count }, (_, at) => nonsense(createRandom(seed, at)))),
    ],
    ...(statements.length === 0
      ? {}
      : {
          "queries.json": items.map(({ image, scene }) => ({
            image: image.file_name,
            caption: [
              ...new Set(
                statements.filter(({ claims }) => holds(claims, scene)).map(({ text }) => text),
              ),
            ],
          })),
        }),
  };

  const draft = `${path.resolve(out)}.writing-${randomBytes(4).toString("hex")}`;
  try {
    await mkdir(path.join(draft, "pictures"), { recursive: true });
    for (const { scene, image } of items) {
      await writeFile(
        path.join(draft, "pictures", image.file_name),
        await pictureOf(scene, drawings),
      );
    }
    for (const [name, content] of Object.entries(files)) {
      await writeFile(path.join(draft, name), `${JSON.stringify(content)}\n`);
    }
    await rename(draft, out);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}
