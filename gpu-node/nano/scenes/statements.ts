// Statements about a scene for the retrieval model: true ones, whole and partial, and false ones that differ from the
// truth in one respect. Invariant: whether a statement is true is decided by `holds`, never by how it was made.

import type { Relation } from "./captions.ts";
import { relationOf } from "./captions.ts";
import { bareName, countedName, listed, withArticle } from "./grammar.ts";
import type { Random } from "./random.ts";
import type { Scene } from "./scene.ts";
import type { Colour } from "./vocabulary.ts";
import { colours, thingNamed, things } from "./vocabulary.ts";

export interface GroupClaim {
  readonly noun: string;
  /** Null says nothing of the colour. */
  readonly colour: Colour | null;
  /** Null says nothing of the number. */
  readonly count: number | null;
}

export interface Claims {
  readonly groups: readonly GroupClaim[];
  readonly background: Colour | null;
  /** Of the first group's only object to the second's. */
  readonly relation: Relation | null;
}

/** What was changed to make it false. */
export const falsehoods = [
  "noun",
  "colour",
  "count",
  "background",
  "extra",
  "binding",
  "relation",
] as const;
export type Falsehood = (typeof falsehoods)[number];

export interface Statement {
  readonly kind: "whole" | "partial" | Falsehood;
  readonly text: string;
  readonly claims: Claims;
}

export interface Statements {
  /** The caption, all of the scene. */
  readonly whole: Statement;
  /** True, and less than all. */
  readonly partial: Statement;
  readonly falses: readonly Statement[];
}

export function stateScene(scene: Scene, falseCount: number, random: Random): Statements {
  const relation = relationOf(scene);
  const told = {
    groups: scene.groups.map(({ noun, colour, objects }) => ({
      noun,
      colour,
      count: objects.length,
    })),
    background: scene.background.colour,
    relation: relation !== null && random.chance(0.6) ? relation : null,
  };
  const part = partOf(told, random);
  const falses: Statement[] = [];
  while (falses.length < falseCount) {
    const from = random.chance(0.75) ? told : part;
    // Few scenes have a relation to be wrong about: where there is one, it is asked for more often.
    const kind =
      from.relation !== null && random.chance(0.4) ? "relation" : random.pick(falsehoods);
    const claims = falsify[kind](from, scene, random);
    if (claims !== null && !holds(claims, scene))
      falses.push({ kind, text: say(claims, random), claims });
  }
  return {
    whole: { kind: "whole", text: say(told, random), claims: told },
    partial: { kind: "partial", text: say(part, random), claims: part },
    falses,
  };
}

/** Whether all that is claimed is so; a scene may hold more than is claimed. */
export function holds(claims: Claims, scene: Scene): boolean {
  const groups = claims.groups.every(({ noun, colour, count }) =>
    scene.groups.some(
      (group) =>
        group.noun === noun &&
        (colour === null || group.colour === colour) &&
        (count === null || group.objects.length === count),
    ),
  );
  if (!groups || (claims.background !== null && claims.background !== scene.background.colour))
    return false;
  if (claims.relation === null) return true;
  const pair = claims.groups.map(({ noun }) => scene.groups.find((group) => group.noun === noun));
  const ordered = pair.flatMap((group) => (group === undefined ? [] : [group]));
  return relationOf({ groups: ordered }) === claims.relation;
}

function say({ groups, background, relation }: Claims, random: Random): string {
  const names = groups.map(({ noun, colour, count }) =>
    count === null
      ? bareName(thingNamed(noun), colour)
      : countedName(thingNamed(noun), colour, count),
  );
  const [one, other] = names;
  const list = relation === null ? listed(names) : `${one ?? ""} ${relation} ${other ?? ""}`;
  if (background === null) return list;
  const ground = `${withArticle(background)} background`;
  if (groups.length === 0) return ground;
  switch (random.weighted([0.7, 0.15, 0.15])) {
    case 0:
      return `${list} on ${ground}`;
    case 1:
      return `a picture of ${list} on ${ground}`;
    default:
      return `${list} in front of ${ground}`;
  }
}

/** Some of the groups in any order, mostly without the background; now and then the bare name of one thing. */
function partOf(whole: Claims, random: Random): Claims {
  const groups = random.shuffle(whole.groups);
  if (random.chance(0.25))
    return {
      groups: groups.slice(0, 1).map(({ noun, colour }) => ({
        noun,
        colour: random.chance(0.7) ? colour : null,
        count: null,
      })),
      background: null,
      relation: null,
    };
  const kept = groups.slice(0, 1 + random.below(groups.length));
  const background = random.chance(kept.length < groups.length ? 0.4 : 0.15);
  return { groups: kept, background: background ? whole.background : null, relation: null };
}

type Falsify = (claims: Claims, scene: Scene, random: Random) => Claims | null;

const replaced = (claims: Claims, at: number, group: GroupClaim): Claims => ({
  ...claims,
  groups: claims.groups.map((other, index) => (index === at ? group : other)),
});

function absentNoun(scene: Scene, random: Random, like: GroupClaim): string {
  const present = new Set(scene.groups.map(({ noun }) => noun));
  const { category } = thingNamed(like.noun);
  const absent = things.filter(
    (thing) => !present.has(thing.noun) && (like.colour === null || thing.recolourable),
  );
  const alike = absent.filter((thing) => thing.category === category);
  return random.pick(alike.length > 0 && random.chance(0.6) ? alike : absent).noun;
}

const falsify: Readonly<Record<Falsehood, Falsify>> = {
  noun: (claims, scene, random) => {
    const at = random.below(claims.groups.length);
    const group = claims.groups[at];
    if (group === undefined) return null;
    return replaced(claims, at, { ...group, noun: absentNoun(scene, random, group) });
  },
  colour: (claims, _scene, random) => {
    const at = claims.groups.findIndex(({ colour }) => colour !== null);
    const group = claims.groups[at];
    if (group === undefined) return null;
    return replaced(claims, at, { ...group, colour: random.pick(colours) });
  },
  count: (claims, _scene, random) => {
    const at = random.below(claims.groups.length);
    const group = claims.groups[at];
    if (group === undefined || group.count === null || claims.relation !== null) return null;
    return replaced(claims, at, { ...group, count: random.pick([1, 2, 3, 4]) });
  },
  background: (claims, _scene, random) =>
    claims.background === null ? null : { ...claims, background: random.pick(colours) },
  extra: (claims, scene, random) => {
    if (claims.groups.length > 2 || claims.relation !== null) return null;
    if (claims.groups.some(({ count }) => count === null)) return null;
    const colour = random.chance(0.3) ? random.pick(colours) : null;
    const like = { noun: random.pick(things).noun, colour, count: 1 };
    const extra = { ...like, noun: absentNoun(scene, random, like) };
    return { ...claims, groups: random.shuffle([...claims.groups, extra]) };
  },
  // The right words at the wrong things.
  binding: (claims, _scene, random) => {
    const [one, other] = claims.groups;
    if (one === undefined || other === undefined || claims.relation !== null) return null;
    const swap = random.chance(0.5)
      ? [
          { ...one, colour: other.colour },
          { ...other, colour: one.colour },
        ]
      : [
          { ...one, count: other.count },
          { ...other, count: one.count },
        ];
    const sayable = swap.every(
      ({ noun, colour }) => colour === null || thingNamed(noun).recolourable,
    );
    return sayable ? { ...claims, groups: [...swap, ...claims.groups.slice(2)] } : null;
  },
  relation: (claims, _scene, random) =>
    claims.relation === null
      ? null
      : {
          ...claims,
          relation: random.pick(["to the left of", "to the right of", "above", "below"] as const),
        },
};
