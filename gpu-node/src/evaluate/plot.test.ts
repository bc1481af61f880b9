import { expect, test } from "vitest";
import { drawPlot } from "./plot.ts";

test("bars as long as their values, names that cannot break out, nothing that is no number", () => {
  const svg = drawPlot({
    title: `<script>"&`,
    subtitle: "s",
    groups: [
      {
        title: "g",
        bars: [
          { label: "half", text: "0.5", share: 0.5, shareError: 0.1 },
          { label: "too much", text: "12", share: 1.2, shareError: 0 },
        ],
      },
    ],
    spread: { title: "t", from: 0, to: 10, values: [0, 10, 11, -1] },
  });
  expect(svg).not.toContain("<script>");
  expect(svg).toContain("&lt;script&gt;&quot;&amp;");
  expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  const bars = [...svg.matchAll(/width="([\d.]+)" height="16" fill="#4a6fd0"/g)].map(([, w]) => w);
  expect(bars).toEqual(["180", "360"]);
});
