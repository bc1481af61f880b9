import { describe, expect, test } from "vitest";
import { composeScene } from "./compose.ts";
import { createRandom } from "./random.ts";
import { falsehoods, holds, stateScene } from "./statements.ts";

const told = Array.from({ length: 3000 }, (_, index) => {
  const random = createRandom(11, index);
  const scene = composeScene(random, { any: 1 });
  return { scene, statements: stateScene(scene, 4, random) };
});

describe("statements", () => {
  test("the true ones hold, the false ones do not", () => {
    for (const { scene, statements } of told) {
      expect(holds(statements.whole.claims, scene)).toBe(true);
      expect(holds(statements.partial.claims, scene)).toBe(true);
      for (const { claims } of statements.falses) expect(holds(claims, scene)).toBe(false);
    }
  });

  test("every kind of falsehood comes up, and none alone", () => {
    const kinds = told.flatMap(({ statements }) => statements.falses.map(({ kind }) => kind));
    for (const kind of falsehoods) {
      const share = kinds.filter((other) => other === kind).length / kinds.length;
      expect(share, kind).toBeGreaterThan(0.02);
      expect(share, kind).toBeLessThan(0.35);
    }
  });

  test("a claim without colour or number asks for none", () => {
    const { scene } = told[0] ?? {};
    const [group] = scene?.groups ?? [];
    if (scene === undefined || group === undefined) throw new Error("no scene");
    const claim = { noun: group.noun, colour: null, count: null };
    expect(holds({ groups: [claim], background: null, relation: null }, scene)).toBe(true);
    const other = { ...claim, count: group.objects.length + 1 };
    expect(holds({ groups: [other], background: null, relation: null }, scene)).toBe(false);
  });
});
