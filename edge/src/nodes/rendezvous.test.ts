import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rankNodes } from "./rendezvous.ts";

const fleet = fc.uniqueArray(
  fc.record({ id: fc.webUrl(), weight: fc.double({ min: 0.1, max: 10, noNaN: true }) }),
  { minLength: 2, maxLength: 12, selector: ({ id }) => id },
);
const ids = (nodes: readonly { readonly id: string }[]): string[] => nodes.map(({ id }) => id);

describe("rendezvous", () => {
  test("is the same for every order in which the nodes are known", () => {
    fc.assert(
      fc.property(fc.string(), fleet, (key, nodes) => {
        expect(ids(rankNodes(key, nodes.toReversed()))).toEqual(ids(rankNodes(key, nodes)));
      }),
    );
  });

  test("a node that goes changes nothing but its own place", () => {
    fc.assert(
      fc.property(fc.string(), fleet, fc.nat(), (key, nodes, which) => {
        const gone = nodes[which % nodes.length];
        const left = nodes.filter((node) => node !== gone);
        const before = rankNodes(key, nodes).filter((node) => node !== gone);
        expect(ids(rankNodes(key, left))).toEqual(ids(before));
      }),
    );
  });

  test("keys are shared out by weight", () => {
    const nodes = [
      { id: "http://10.0.0.1:8080", weight: 1 },
      { id: "http://10.0.0.2:8080", weight: 1 },
      { id: "http://10.0.0.3:8080", weight: 2 },
    ];
    const first = new Map<string, number>();
    for (let at = 0; at < 20_000; at++) {
      const [node] = rankNodes(`img_${at}`, nodes);
      first.set(node?.id ?? "", (first.get(node?.id ?? "") ?? 0) + 1);
    }
    expect(first.get("http://10.0.0.1:8080")).toBeGreaterThan(4700);
    expect(first.get("http://10.0.0.1:8080")).toBeLessThan(5300);
    expect(first.get("http://10.0.0.3:8080")).toBeGreaterThan(9600);
    expect(first.get("http://10.0.0.3:8080")).toBeLessThan(10_400);
  });
});
