// Whether an alt text is true of a picture: everything that it says is to be seen there. What it leaves out makes it no
// lie; a wrong count, colour, thing or background does. Pure.
import { parseCaption } from "../../gpu-node/nano/evaluate/parse-caption.ts";
import type { Scene } from "../../gpu-node/nano/scenes/scene.ts";

/** `scenes`: what is on one sheet. */
export function isTrue(caption: string, scenes: readonly Scene[]): boolean {
  const { groups, unknown, background } = parseCaption(caption);
  if (groups.length === 0 || unknown.length > 0) return false;
  const nouns = new Set(groups.map(({ noun }) => noun));
  if (nouns.size < groups.length) return false;
  if (background !== null && !scenes.some((scene) => scene.background.colour === background)) {
    return false;
  }
  return groups.every(({ noun, colour, count }) => {
    const there = scenes.flatMap((scene) => scene.groups.filter((group) => group.noun === noun));
    const alike = there.filter((group) => group.colour === colour);
    const counts = alike.map(({ objects }) => objects.length);
    const all = counts.reduce((sum, each) => sum + each, 0);
    return counts.length > 0 && [...counts, all].includes(count);
  });
}
