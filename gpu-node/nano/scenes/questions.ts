// Questions with their true answers, of ten kinds. Yes and no come equally often in each kind that has them.

import { bareName, numberWords, one, pluralName, withArticle } from "./grammar.ts";
import type { Random } from "./random.ts";
import type { Scene, SceneGroup, SceneObject } from "./scene.ts";
import { objectsOf } from "./scene.ts";
import type { Category, Thing } from "./vocabulary.ts";
import { colours, thingNamed, things } from "./vocabulary.ts";

export const questionKinds = [
  "is there a X",
  "is there a COLOUR X",
  "how many X",
  "how many objects",
  "colour of X",
  "category",
  "background",
  "what is left of X",
  "what is above X",
  "is X left of Y",
] as const;
export type QuestionKind = (typeof questionKinds)[number];

export interface Question {
  readonly kind: QuestionKind;
  readonly question: string;
  readonly answer: string;
}

/** How often each kind is asked where the scene allows it. */
const kindWeights: Readonly<Record<QuestionKind, number>> = {
  "is there a X": 0.2,
  "is there a COLOUR X": 0.16,
  "how many X": 0.24,
  "how many objects": 0.08,
  "colour of X": 0.14,
  category: 0.06,
  background: 0.05,
  "what is left of X": 0.06,
  "what is above X": 0.06,
  "is X left of Y": 0.22,
};

/** `count` different questions of different kinds, or as many as the scene allows. */
export function askQuestions(scene: Scene, count: number, random: Random): readonly Question[] {
  const out: Question[] = [];
  const left = new Set<QuestionKind>(questionKinds);
  while (out.length < count && left.size > 0) {
    const kinds = [...left];
    const kind = kinds[random.weighted(kinds.map((name) => kindWeights[name]))];
    if (kind === undefined) break;
    left.delete(kind);
    const asked = askers[kind](scene, random);
    if (asked !== null) out.push({ kind, question: asked[0], answer: asked[1] });
  }
  return out;
}

type Asked = readonly [question: string, answer: string] | null;
type Asker = (scene: Scene, random: Random) => Asked;

const askers: Readonly<Record<QuestionKind, Asker>> = {
  "is there a X": (scene, random) => {
    const yes = random.chance(0.5);
    const thing = yes ? thingNamed(random.pick(scene.groups).noun) : absentThing(scene, random);
    const where = random.chance(0.3) ? " in the picture" : "";
    const question = random.chance(0.7)
      ? `is there ${one(thing, null)}${where}?`
      : `are there any ${pluralName(thing, null)}${where}?`;
    return [question, yes ? "yes" : "no"];
  },

  "is there a COLOUR X": (scene, random) => {
    const group = colouredGroup(scene, random);
    if (group?.colour == null) return null;
    const thing = thingNamed(group.noun);
    const yes = random.chance(0.5);
    if (yes) return [`is there ${withArticle(bareName(thing, group.colour))}?`, "yes"];
    const wrongThing = random.chance(0.3);
    const asked = wrongThing ? absentThing(scene, random, (other) => other.recolourable) : thing;
    const colour = wrongThing
      ? group.colour
      : random.pick(colours.filter((other) => other !== group.colour));
    return [`is there ${withArticle(bareName(asked, colour))}?`, "no"];
  },

  "how many X": (scene, random) => {
    const absent = random.chance(0.15);
    const group = random.pick(scene.groups);
    const count = absent ? 0 : group.objects.length;
    if (count === 1 && random.chance(0.6)) return null; // ones would drown the rest
    const thing = absent ? absentThing(scene, random) : thingNamed(group.noun);
    return [howMany(pluralName(thing, null), random), numberWords[count] ?? ""];
  },

  "how many objects": (scene, random) => {
    const count = objectsOf(scene).length;
    if (count === 1 && random.chance(0.4)) return null;
    return [howMany("objects", random), numberWords[count] ?? ""];
  },

  "colour of X": (scene, random) => {
    const group = colouredGroup(scene, random);
    if (group?.colour == null) return null;
    const thing = thingNamed(group.noun);
    const name = group.objects.length === 1 ? `is the ${thing.noun}` : `are the ${thing.plural}`;
    return [`what color ${name}?`, group.colour];
  },

  category: (scene, random) => {
    const candidates = scene.groups.filter((group) => {
      const { category } = thingNamed(group.noun);
      return (
        asksFor.has(category) && scene.groups.filter((other) => isOf(other, category)).length === 1
      );
    });
    if (candidates.length === 0) return null;
    const thing = thingNamed(random.pick(candidates).noun);
    const tail = random.chance(0.5) ? "is this" : "can you see";
    return [`what ${thing.category} ${tail}?`, thing.noun];
  },

  background: (scene, random) => [
    random.chance(0.7) ? "what color is the background?" : "what is the color of the background?",
    scene.background.colour,
  ],

  "what is left of X": (scene, random) =>
    whatIs(scene, random, [
      ["to the left of", (one, other) => other.x - one.x],
      ["to the right of", (one, other) => one.x - other.x],
    ]),

  "what is above X": (scene, random) =>
    whatIs(scene, random, [
      ["above", (one, other) => other.y - one.y],
      ["below", (one, other) => one.y - other.y],
    ]),

  "is X left of Y": (scene, random) => {
    const singles = singlesOf(scene);
    const pairs = singles.flatMap((one) =>
      singles.filter((other) => other.x - one.x >= 0.15).map((other) => [one, other] as const),
    );
    if (pairs.length === 0) return null;
    const [left, right] = random.pick(pairs);
    const yes = random.chance(0.5);
    const [x, y] = yes ? [left, right] : [right, left];
    return [`is the ${x.noun} to the left of the ${y.noun}?`, yes ? "yes" : "no"];
  },
};

const asksFor: ReadonlySet<Category> = new Set(["animal", "food", "vehicle"]);
const isOf = (group: SceneGroup, category: Category): boolean =>
  thingNamed(group.noun).category === category;

const howMany = (plural: string, random: Random): string =>
  random.chance(0.7) ? `how many ${plural} are there?` : `how many ${plural} can you see?`;

function colouredGroup(scene: Scene, random: Random): SceneGroup | null {
  const groups = scene.groups.filter((group) => group.colour !== null);
  return groups.length === 0 ? null : random.pick(groups);
}

/** Half of the time of the same category as something that is there: the harder no. */
function absentThing(
  scene: Scene,
  random: Random,
  allowed: (thing: Thing) => boolean = () => true,
): Thing {
  const present = new Set(scene.groups.map((group) => group.noun));
  const absent = things.filter((thing) => !present.has(thing.noun) && allowed(thing));
  const near = random.chance(0.5) ? random.pick(scene.groups) : null;
  const alike = absent.filter((thing) => near !== null && isOf(near, thing.category));
  return random.pick(alike.length > 0 ? alike : absent);
}

/** Objects that are the only one of their noun. */
const singlesOf = (scene: Scene): readonly SceneObject[] =>
  scene.groups.filter((group) => group.objects.length === 1).flatMap((group) => group.objects);

/** A question such as "what is above the dog?" where exactly one object is, plainly, and nothing else nearly. */
function whatIs(
  scene: Scene,
  random: Random,
  directions: readonly (readonly [
    name: string,
    distance: (one: SceneObject, other: SceneObject) => number,
  ])[],
): Asked {
  if (scene.groups.some((group) => group.objects.length > 1)) return null;
  const singles = singlesOf(scene);
  const found: (readonly [string, string])[] = [];
  for (const [name, distance] of directions) {
    for (const other of singles) {
      const there = singles.filter((one) => one !== other && distance(one, other) > 0);
      const [one] = there;
      if (there.length !== 1 || one === undefined || distance(one, other) < 0.2) continue;
      found.push([
        `what is ${name} the ${other.noun}?`,
        bareName(thingNamed(one.noun), one.colour),
      ]);
    }
  }
  return found.length === 0 ? null : random.pick(found);
}
