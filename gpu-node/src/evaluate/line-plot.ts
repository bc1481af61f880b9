// How figures grow: lines over axes that both go by powers of ten, as SVG by hand. Points that are no positive
// number are left out.
import { escapeText, roundPlace } from "./plot.ts";

export interface Line {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface LinePlot {
  readonly title: string;
  readonly subtitle: string;
  readonly charts: readonly { readonly title: string; readonly lines: readonly Line[] }[];
}

const width = 720;
const left = 70;
const plotWidth = 400;
const plotHeight = 220;
const chartHeight = plotHeight + 76;
const head = 84;
const colours = ["#4a6fd0", "#c2571a", "#2f8f5b", "#8a4fb5", "#b03060", "#667788"];

interface Range {
  readonly from: number;
  readonly to: number;
}

/** Whole powers of ten around the values, as exponents. */
function exponents(values: readonly number[]): Range {
  const logs = values.map(Math.log10);
  const [from, to] = [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
  return { from, to: Math.max(to, from + 1) };
}

export function drawLines({ title, subtitle, charts }: LinePlot): string {
  const height = head + charts.length * chartHeight;
  const parts = [
    `<text x="20" y="34" font-size="18" font-weight="600">${escapeText(title)}</text>`,
    `<text x="20" y="54" fill="#667">${escapeText(subtitle)}</text>`,
    ...charts.flatMap((chart, at) => drawChart(chart, head + at * chartHeight)),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="13" fill="#223">
<rect width="${width}" height="${height}" fill="#fff"/>
${parts.join("\n")}
</svg>
`;
}

function drawChart({ title, lines }: LinePlot["charts"][number], top: number): string[] {
  const drawn = lines.map(({ name, points }) => ({
    name,
    points: points.filter(({ x, y }) => x > 0 && y > 0 && Number.isFinite(x * y)),
  }));
  const all = drawn.flatMap(({ points }) => points);
  const parts = [`<text x="20" y="${top}" font-weight="600">${escapeText(title)}</text>`];
  if (all.length === 0) return parts;
  const [xs, ys] = [exponents(all.map(({ x }) => x)), exponents(all.map(({ y }) => y))];
  const floor = top + 16 + plotHeight;
  const place = (value: number, { from, to }: Range): number =>
    (Math.log10(value) - from) / (to - from);
  const xAt = (x: number): number => roundPlace(left + place(x, xs) * plotWidth);
  const yAt = (y: number): number => roundPlace(floor - place(y, ys) * plotHeight);
  for (let power = xs.from; power <= xs.to; power += 1) {
    const x = xAt(10 ** power);
    parts.push(
      `<path d="M${x} ${floor}v${-plotHeight}" stroke="#dde"/>`,
      `<text x="${x}" y="${floor + 18}" text-anchor="middle">${inWords(power)}</text>`,
    );
  }
  for (let power = ys.from; power <= ys.to; power += 1) {
    const y = yAt(10 ** power);
    parts.push(
      `<path d="M${left} ${y}h${plotWidth}" stroke="#dde"/>`,
      `<text x="${left - 8}" y="${y + 4}" text-anchor="end">${inWords(power)}</text>`,
    );
  }
  for (const [at, { name, points }] of drawn.entries()) {
    const colour = colours[at % colours.length];
    const places = points.map(({ x, y }) => `${xAt(x)} ${yAt(y)}`);
    const label = top + 28 + at * 20;
    parts.push(
      `<path d="M${places.join("L")}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...points.map(({ x, y }) => `<circle cx="${xAt(x)}" cy="${yAt(y)}" r="3" fill="${colour}"/>`),
      `<path d="M${left + plotWidth + 14} ${label - 4}h16" stroke="${colour}" stroke-width="2"/>`,
      `<text x="${left + plotWidth + 36}" y="${label}">${escapeText(name)}</text>`,
    );
  }
  return parts;
}

const inWords = (power: number): string => (10 ** power).toLocaleString("en");
