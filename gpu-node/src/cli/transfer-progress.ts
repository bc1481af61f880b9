// How far a long transfer is, on standard error: a bar that is redrawn where there is a terminal, a
// line now and then elsewhere. Rate and time left are those of the last seconds, not of the whole.
import { formatBytes } from "../build/progress.ts";

export interface Terminal {
  readonly columns: () => number;
  /** Text without a line feed. */
  readonly write: (text: string) => void;
}

export interface TransferProgress {
  /** Both in bytes; `doneBytes` may fall back. */
  update(doneBytes: number, totalBytes: number, file: string): void;
  /** A line among the progress, which a bar must make room for. */
  log(line: string): void;
  end(): void;
}

const redrawMs = 200;
const lineMs = 5000;
const windowMs = 5000;
/** One sample a redraw: more than the window can hold. */
const maxSamples = 64;
const barColumns = 24;

/** 3725 -> "1:02:05", 65 -> "1:05" */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

function createRate() {
  let samples: { readonly atMs: number; readonly bytes: number }[] = [];
  return (atMs: number, bytes: number): number => {
    const last = samples.at(-1);
    // A file that starts over must not make the rate negative.
    if (last !== undefined && bytes < last.bytes) samples = [];
    samples = [...samples, { atMs, bytes }]
      .filter((sample) => atMs - sample.atMs <= windowMs)
      .slice(-maxSamples);
    const [oldest] = samples;
    if (oldest === undefined || oldest.atMs === atMs) return 0;
    return (1000 * (bytes - oldest.bytes)) / (atMs - oldest.atMs);
  };
}

export function createTransferProgress(
  log: (line: string) => void,
  terminal?: Terminal,
  now: () => number = () => performance.now(),
): TransferProgress {
  const everyMs = terminal === undefined ? lineMs : redrawMs;
  const rateAt = createRate();
  let lastMs = Number.NEGATIVE_INFINITY;
  let barShown = false;

  const clear = (): void => {
    if (barShown) terminal?.write("\r\x1b[K");
    barShown = false;
  };
  return {
    update(doneBytes, totalBytes, file) {
      const atMs = now();
      if (atMs - lastMs < everyMs && doneBytes < totalBytes) return;
      lastMs = atMs;
      const share = totalBytes === 0 ? 1 : doneBytes / totalBytes;
      const bytesPerS = rateAt(atMs, doneBytes);
      const left =
        bytesPerS > 0 ? `, ${formatDuration((totalBytes - doneBytes) / bytesPerS)} left` : "";
      const rate = bytesPerS > 0 ? `, ${formatBytes(bytesPerS)}/s` : "";
      const amount = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
      const text = `${Math.floor(100 * share)}%  ${amount}${rate}${left}  ${file}`;
      if (terminal === undefined) {
        log(text);
        return;
      }
      const filled = Math.round(barColumns * share);
      const bar = `[${"#".repeat(filled)}${"-".repeat(barColumns - filled)}] ${text}`;
      terminal.write(`\r${bar.slice(0, Math.max(1, terminal.columns() - 1))}\x1b[K`);
      barShown = true;
    },
    log(line) {
      clear();
      log(line);
    },
    end: clear,
  };
}
