// Captions: the same truth in several frames.

import { countedName, listed } from "./grammar.ts";
import type { Random } from "./random.ts";
import type { Scene, SceneGroup } from "./scene.ts";
import { thingNamed } from "./vocabulary.ts";

export type Relation = "to the left of" | "to the right of" | "above" | "below";

const groupName = (group: SceneGroup): string =>
  countedName(thingNamed(group.noun), group.colour, group.objects.length);

/** Where the first stands from the second, along the axis on which they differ more; null when it is not plain. */
export function relationOf(scene: Pick<Scene, "groups">): Relation | null {
  const [one, other] = scene.groups;
  if (scene.groups.length !== 2 || one?.objects.length !== 1 || other?.objects.length !== 1)
    return null;
  const [a, b] = [one.objects[0], other.objects[0]];
  if (a === undefined || b === undefined) return null;
  const dx = a.x - b.x;
  const dy = a.y - b.y;
  if (Math.max(Math.abs(dx), Math.abs(dy)) < 0.2 || Math.abs(Math.abs(dx) - Math.abs(dy)) < 0.08)
    return null;
  if (Math.abs(dx) > Math.abs(dy)) return dx < 0 ? "to the left of" : "to the right of";
  return dy < 0 ? "above" : "below";
}

/** All that may be said of a scene, the plainest first. */
export function captionsOf(scene: Scene): readonly string[] {
  const list = listed(scene.groups.map(groupName));
  const background = `a ${scene.background.colour} background`.replace("a orange", "an orange");
  const relation = relationOf(scene);
  const [one, other] = scene.groups;
  return [
    `${list} on ${background}`,
    `a picture of ${list} on ${background}`,
    `${list} in front of ${background}`,
    ...(relation === null || one === undefined || other === undefined
      ? []
      : [`${groupName(one)} ${relation} ${groupName(other)} on ${background}`]),
  ];
}

export function pickCaption(scene: Scene, random: Random): string {
  const captions = captionsOf(scene);
  const weights = [0.64, 0.12, 0.12, 0.12].slice(0, captions.length);
  return captions[random.weighted(weights)] ?? "";
}
