// What a command may touch of the process it runs in; the entry (main.ts) hands it in, tests their own.

export interface CliIo {
  /** Results: one line, without its line feed. With --json nothing but JSON goes here. */
  stdout(line: string): void;
  /** A piece of a line on standard output. */
  write(text: string): void;
  /** Explanations. */
  stderr(line: string): void;
  /** Aborted when the user wants out. */
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly fetch?: typeof globalThis.fetch;
  readonly now?: () => number;
  /** All of standard input, as text. */
  readonly stdin?: () => Promise<string>;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Rejects with the signal's reason when the user wants out. */
export const sleep = (ms: number, { signal, sleep: own }: CliIo): Promise<void> =>
  own === undefined
    ? new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, ms);
        signal.addEventListener("abort", () => {
          clearTimeout(timer);
          reject(signal.reason as Error);
        });
      })
    : own(ms);
