// The Server-Timing header (https://www.w3.org/TR/server-timing/), read from a node and written for callers:
// names and milliseconds, no descriptions.

const maxStages = 16;
const form = /^([a-z][a-z_-]{0,31});dur=(\d{1,9}(?:\.\d{1,6})?)$/;

/** A node's stages; what has another form is passed over. */
export function readServerTiming(header: string | null): Record<string, number> {
  const stages: Record<string, number> = {};
  for (const part of (header ?? "").split(",").slice(0, maxStages)) {
    const [, name, ms] = form.exec(part.trim()) ?? [];
    if (name !== undefined) stages[name] = Number(ms);
  }
  return stages;
}

export const roundMs = (ms: number): number => Math.round(ms * 10) / 10;

export const writeServerTiming = (stages: Iterable<readonly [string, number]>): string =>
  Array.from(stages, ([name, ms]) => `${name};dur=${roundMs(ms)}`).join(", ");
