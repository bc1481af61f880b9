// Scenes that the embedded models have not seen, as files of every format for a real CMS, and how true what it then
// holds is by what was drawn.
import { scoreCaptions } from "../../../gpu-node/nano/evaluate/score.ts";
import { openDrawings } from "../../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeExam, type ExamScene } from "../../../gpu-node/nano/scenes/exam.ts";
import { recoded } from "../../../test/support/pictures.ts";
import type { RealCms } from "./real-cms.ts";

export type Scene = ExamScene;
export interface Uploaded {
  readonly id: string;
  readonly scene: Scene;
}

const maxLabels = 60;

export async function openExam(seed: number, count: number) {
  const drawings = await openDrawings();
  const scenes = writeExam(seed, count, drawings.styles);
  const labels = scenes.flatMap(({ scene }) => scene.groups.map(({ noun }) => noun));

  async function fileOf({ scene }: Scene, index: number) {
    const png = await pictureOf(scene, drawings);
    const format = (["png", "jpeg", "webp"] as const)[index % 3] ?? "png";
    const bytes = format === "png" ? png : await recoded(png, format);
    return { bytes, type: `image/${format}`, name: `scene-${index}.${format}` };
  }

  return {
    scenes,
    /** Of the scenes, and some that are in none. */
    vocabulary: [...new Set([...labels, "robot", "whale"])].slice(0, maxLabels),
    fileOf,
    /** `from`: the number of the first of them. */
    async upload(cms: RealCms, some: readonly Scene[], from: number): Promise<Uploaded[]> {
      const uploaded: Uploaded[] = [];
      for (const [index, scene] of some.entries()) {
        const { bytes, type, name } = await fileOf(scene, from + index);
        uploaded.push({ id: await cms.upload(name, type, bytes), scene });
      }
      return uploaded;
    },
  };
}

/** How many have alt text, and of these how many are right in every word; how many tags there are, and are true. */
export async function score(cms: RealCms, uploaded: readonly Uploaded[]) {
  let [named, right, tags, trueTags] = [0, 0, 0, 0];
  for (const { id, scene } of uploaded) {
    const said = await cms.words(id);
    if (said.alt === null || said.alt === "") continue;
    named += 1;
    const caption = said.alt.charAt(0).toLowerCase() + said.alt.slice(1);
    right += scoreCaptions([[scene.scene, caption]]).wholeCaption.right;
    const nouns = new Set(scene.scene.groups.map(({ noun }) => noun));
    tags += said.tags.length;
    trueTags += said.tags.filter((tag) => nouns.has(tag)).length;
  }
  return { named, right, tags, trueTags };
}
