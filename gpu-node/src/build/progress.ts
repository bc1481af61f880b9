// One line now and then about a long copy: percent, bytes, rate. Silent for what is over at once.

export interface Progress {
  add(bytes: number): void;
}

const units = ["B", "KB", "MB", "GB", "TB"];

/** 1536000 -> "1.5 MB" (powers of 1000). */
export function formatBytes(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

export function createProgress(
  log: (line: string) => void,
  what: string,
  totalBytes: number,
  { now = () => performance.now(), everyMs = 1000 } = {},
): Progress {
  const startMs = now();
  let lastMs = startMs;
  let done = 0;
  return {
    add(bytes) {
      done += bytes;
      const atMs = now();
      if (atMs - lastMs < everyMs) return;
      lastMs = atMs;
      const percent = Math.floor((100 * done) / Math.max(1, totalBytes));
      const rate = formatBytes((1000 * done) / (atMs - startMs));
      log(`${what}: ${percent}% of ${formatBytes(totalBytes)}, ${rate}/s`);
    },
  };
}
