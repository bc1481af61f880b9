// What a command may touch of the process it runs in: two line sinks and the signal of Ctrl-C.
// Commands never see `process`; the entry (main.ts) hands this in, tests hand in arrays.

export interface CliIo {
  /** Results: one line, without its line feed. With --json nothing but JSON goes here. */
  stdout(line: string): void;
  /** Progress and explanations. */
  stderr(line: string): void;
  /** Aborted when the user wants out; a command then leaves nothing half-written. */
  readonly signal: AbortSignal;
}
