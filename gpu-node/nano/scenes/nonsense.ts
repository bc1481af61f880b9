// Texts that no scene answers: made-up words, and what is said of things that are in no scene.
import type { Random } from "./random.ts";

const onsets = "bdfgklmnprstvz".split("");
const vowels = "aeiou".split("");
const outside = {
  what: ["invoice", "parliament", "violinist", "harbour", "skyscraper", "surgeon", "waterfall"],
  how: ["old", "crowded", "famous", "broken", "wooden", "silent", "frozen"],
  where: ["in Paris", "at the airport", "during a concert", "under a bridge", "by the sea"],
  does: ["reading a newspaper", "riding a wave", "talking to a crowd", "standing in the rain"],
} as const;

const word = (random: Random): string =>
  Array.from(
    { length: 2 + random.below(2) },
    () => `${random.pick(onsets)}${random.pick(vowels)}`,
  ).join("");

export function nonsense(random: Random): string {
  if (random.chance(0.5))
    return Array.from({ length: 1 + random.below(6) }, () => word(random)).join(" ");
  const { what, how, where, does } = outside;
  const thing = `a ${random.pick(how)} ${random.pick(what)}`;
  if (random.chance(0.3)) return thing;
  return `${thing} ${random.chance(0.5) ? random.pick(does) : random.pick(where)}`;
}
