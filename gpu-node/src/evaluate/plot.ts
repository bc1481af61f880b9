// A report as a picture: bars with their standard errors and, where there are many items, how their scores are
// spread. SVG by hand; nothing in it moves or loads.

export interface Bar {
  readonly label: string;
  /** As printed beside the bar. */
  readonly text: string;
  /** 0 to 1 of the full width. */
  readonly share: number;
  /** Standard error on the same scale. */
  readonly shareError: number;
}

export interface Spread {
  readonly title: string;
  readonly from: number;
  readonly to: number;
  readonly values: readonly number[];
}

export interface Plot {
  readonly title: string;
  readonly subtitle: string;
  readonly groups: readonly { readonly title: string; readonly bars: readonly Bar[] }[];
  readonly spread?: Spread;
}

const width = 720;
const labelWidth = 190;
const barWidth = 360;
const row = 24;
const bins = 20;
const spreadHeight = 110;

export const escapeText = (text: string): string =>
  text.replaceAll(
    /[&<>"]/g,
    (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign] ?? sign,
  );
/** Of a place in a picture. */
export const roundPlace = (value: number): number => Math.round(value * 100) / 100;
const within = (share: number): number => Math.min(1, Math.max(0, share));

export function drawPlot({ title, subtitle, groups, spread }: Plot): string {
  const parts: string[] = [];
  const say = (x: number, y: number, text: string, style = ""): void => {
    parts.push(
      `<text x="${roundPlace(x)}" y="${roundPlace(y)}"${style}>${escapeText(text)}</text>`,
    );
  };
  say(20, 34, title, ' font-size="18" font-weight="600"');
  say(20, 54, subtitle, ' fill="#667"');
  let y = 84;
  for (const group of groups) {
    say(20, y, group.title, ' font-weight="600"');
    y += 10;
    for (const bar of group.bars) {
      drawBar(parts, say, bar, y);
      y += row;
    }
    y += 26;
  }
  if (spread !== undefined) {
    drawSpread(parts, say, spread, y);
    y += spreadHeight + 40;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" font-family="system-ui, sans-serif" font-size="13" fill="#223">
<rect width="${width}" height="${y}" fill="#fff"/>
${parts.join("\n")}
</svg>
`;
}

type Say = (x: number, y: number, text: string, style?: string) => void;

function drawBar(parts: string[], say: Say, bar: Bar, y: number): void {
  const at = (share: number): number => roundPlace(labelWidth + 20 + within(share) * barWidth);
  const middle = y + row / 2;
  say(labelWidth + 10, middle + 4, bar.label, ' text-anchor="end"');
  parts.push(
    `<rect x="${at(0)}" y="${y + 4}" width="${barWidth}" height="${row - 8}" fill="#eef"/>`,
    `<rect x="${at(0)}" y="${y + 4}" width="${roundPlace(at(bar.share) - at(0))}" height="${row - 8}" fill="#4a6fd0"/>`,
    `<path d="M${at(bar.share - bar.shareError)} ${middle}H${at(bar.share + bar.shareError)}" stroke="#122" stroke-width="2"/>`,
  );
  say(labelWidth + 20 + barWidth + 12, middle + 4, bar.text);
}

function drawSpread(parts: string[], say: Say, spread: Spread, y: number): void {
  const { title, from, to, values } = spread;
  const counts = Array.from({ length: bins }, () => 0);
  for (const value of values) {
    const bin = Math.floor(within((value - from) / (to - from)) * bins);
    counts[Math.min(bins - 1, bin)]! += 1;
  }
  const most = Math.max(1, ...counts);
  const step = barWidth / bins;
  const left = labelWidth + 20;
  const floor = y + spreadHeight;
  say(20, y, title, ' font-weight="600"');
  counts.forEach((count, bin) => {
    const height = roundPlace((count / most) * (spreadHeight - 20));
    parts.push(
      `<rect x="${roundPlace(left + bin * step)}" y="${roundPlace(floor - height)}" width="${roundPlace(step - 1)}" height="${height}" fill="#4a6fd0"/>`,
    );
  });
  parts.push(`<path d="M${left} ${floor}h${barWidth}" stroke="#122"/>`);
  say(left, floor + 16, String(from));
  say(left + barWidth, floor + 16, String(to), ' text-anchor="end"');
  say(left + barWidth + 12, y + 26, `most: ${most}`, ' fill="#667"');
}
