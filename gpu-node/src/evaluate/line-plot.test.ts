import { expect, test } from "vitest";
import { drawLines } from "./line-plot.ts";

test("ten times as much is one step on, names cannot break out, what is no number is left out", () => {
  const svg = drawLines({
    title: "<b>&",
    subtitle: "s",
    charts: [
      {
        title: "c",
        lines: [
          { name: "grows", points: [10, 100, 1000].map((x) => ({ x, y: x / 10 })) },
          {
            name: '"odd"',
            points: [
              { x: 10, y: NaN },
              { x: 0, y: 1 },
              { x: 100, y: 10 },
            ],
          },
        ],
      },
      { title: "empty", lines: [] },
    ],
  });
  expect(svg).toContain("&lt;b&gt;&amp;");
  expect(svg).toContain("&quot;odd&quot;");
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  const places = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
    Number(x),
    Number(y),
  ]);
  expect(places).toHaveLength(4);
  const [a = [], b = [], c = []] = places;
  expect((c[0] ?? 0) - (b[0] ?? 0)).toBeCloseTo((b[0] ?? 0) - (a[0] ?? 0), 6);
  expect((c[1] ?? 0) - (b[1] ?? 0)).toBeCloseTo((b[1] ?? 0) - (a[1] ?? 0), 6);
  expect(a[1]).toBeGreaterThan(b[1] ?? NaN);
});
