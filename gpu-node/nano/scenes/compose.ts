// Composes a scene: which things, how many, which drawing of each, where, how large, on what.
// One to three groups, at most four objects, no two of which hide each other, all inside the picture.

import type { Random } from "./random.ts";
import type { Scene, SceneGroup, SceneObject, Texture } from "./scene.ts";
import type { Colour, Thing } from "./vocabulary.ts";
import { colours, invisiblePairs, things } from "./vocabulary.ts";

/** `mixed` is what evaluation sees; the others are served to training as extra helpings. */
export type Mix = "mixed" | "counting" | "pairs" | "crowded";

/** Weighted drawing styles by name. */
export type StyleWeights = Readonly<Record<string, number>>;

const textures: readonly Texture[] = ["solid", "gradient", "noise", "grain"];
const naturalThings = things.filter((thing) => thing.category !== "shape");
const shapes = things.filter((thing) => thing.category === "shape");
const recolourable = naturalThings.filter((thing) => thing.recolourable);
const invisible = new Set(invisiblePairs.map(([noun, background]) => `${noun} on ${background}`));

/** Ranges of an object's size by the number of objects in the picture. */
const sizeRanges = [
  [0.32, 0.72],
  [0.27, 0.5],
  [0.24, 0.43],
  [0.23, 0.38],
] as const;

const cutsOfTwo = [
  [1, 1],
  [1, 1],
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
  [1, 3],
  [3, 1],
] as const;
const cutsOfThree = [
  [1, 1, 1],
  [1, 1, 1],
  [1, 1, 2],
  [1, 2, 1],
  [2, 1, 1],
] as const;

function groupSizes(random: Random, mix: Mix): readonly number[] {
  switch (mix) {
    case "pairs":
      return [1, 1];
    case "crowded":
      return random.pick([[4], [3, 1], [2, 2], [1, 3], [2, 1, 1], [1, 2, 1], [1, 1, 2]]);
    case "counting":
      return random.chance(0.5)
        ? [random.pick([1, 2, 2, 3, 3, 4, 4])]
        : random.pick([
            [1, 1],
            [1, 2],
            [2, 1],
            [2, 2],
            [1, 3],
            [3, 1],
          ]);
    case "mixed":
      switch (random.weighted([0.36, 0.47, 0.17])) {
        case 0:
          return [1 + random.weighted([0.4, 0.25, 0.2, 0.15])];
        case 1:
          return random.pick(cutsOfTwo);
        default:
          return random.pick(cutsOfThree);
      }
  }
}

/** Things told apart by their outline alone are the hardest to learn: extra helpings hold more of them. */
function pickThing(random: Random, mix: Mix): readonly [Thing, coloured: boolean] {
  switch (random.weighted(mix === "mixed" ? [0.7, 0.15, 0.15] : [0.54, 0.25, 0.21])) {
    case 0:
      return [random.pick(naturalThings), false];
    case 1:
      return [random.pick(recolourable), true];
    default:
      return [random.pick(shapes), true];
  }
}

export function composeScene(random: Random, styles: StyleWeights, mix: Mix = "mixed"): Scene {
  const background = random.pick(colours);
  const names = Object.keys(styles);
  const weights = Object.values(styles);
  const counts = groupSizes(random, mix);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const places = placeObjects(random, total, mix === "crowded");

  const used = new Set<string>();
  const groups: SceneGroup[] = [];
  for (const count of counts) {
    let [thing, coloured] = pickThing(random, mix);
    while (used.has(thing.noun) || (!coloured && invisible.has(`${thing.noun} on ${background}`))) {
      [thing, coloured] = pickThing(random, mix);
    }
    used.add(thing.noun);
    const colour: Colour | null = coloured
      ? random.pick(colours.filter((other) => other !== background))
      : null;
    const objects = places.splice(0, count).map((place): SceneObject => ({
      noun: thing.noun,
      colour,
      style: names[random.weighted(weights)] ?? "",
      slug: thing.category === "shape" ? thing.noun : random.pick(thing.slugs),
      ...place,
      angleDegrees: place.angleDegrees,
      mirrored: random.chance(0.5),
    }));
    groups.push({ noun: thing.noun, colour, objects });
  }
  groups.sort((left, right) => meanX(left) - meanX(right));
  return {
    background: {
      colour: background,
      texture: random.pick(textures),
      seed: random.below(0x7fff_ffff),
    },
    groups,
  };
}

const meanX = (group: SceneGroup): number =>
  group.objects.reduce((sum, object) => sum + object.x, 0) / group.objects.length;

type Place = Pick<SceneObject, "x" | "y" | "size" | "angleDegrees">;

function placeObjects(random: Random, count: number, crowded: boolean): Place[] {
  const [low, high] = sizeRanges[count - 1] ?? sizeRanges[3];
  let shrink = 1;
  for (let attempt = 1; ; attempt++) {
    if (attempt % 40 === 0) shrink *= 0.93;
    const places: Place[] = [];
    for (let index = 0; index < count; index++) {
      const size = Math.max(
        low,
        (crowded ? random.between(0.3, 0.42) : random.between(low, high)) * shrink,
      );
      const angleDegrees = random.between(-20, 20);
      const reach = reachOf(size, angleDegrees);
      places.push({
        x: random.between(reach, 1 - reach),
        y: random.between(reach, 1 - reach),
        size,
        angleDegrees,
      });
    }
    if (
      places.every((place, index) => places.slice(0, index).every((other) => apart(place, other)))
    )
      return places;
  }
}

/** Half the side of the upright box around a turned drawing, less the empty corners that drawings have. */
function reachOf(size: number, angleDegrees: number): number {
  const angle = (angleDegrees * Math.PI) / 180;
  return (size / 2) * (Math.abs(Math.cos(angle)) + Math.abs(Math.sin(angle))) * 0.92;
}

const apart = (one: Place, other: Place): boolean =>
  Math.hypot(one.x - other.x, one.y - other.y) >= ((one.size + other.size) / 2) * 0.96;
