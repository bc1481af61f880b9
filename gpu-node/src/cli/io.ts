// What a command may touch of the process it runs in: two line sinks and the signal of Ctrl-C.
// Commands never see `process`; the entry (main.ts) hands this in, tests hand in arrays.
import type { Terminal } from "./transfer-progress.ts";

export interface CliIo {
  /** Results: one line, without its line feed. With --json nothing but JSON goes here. */
  stdout(line: string): void;
  /** Progress and explanations. */
  stderr(line: string): void;
  /** Aborted when the user wants out; a command then leaves nothing half-written. */
  readonly signal: AbortSignal;
  /** The environment, for commands that take settings from it; absent is empty. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Set when standard error is a terminal, where a bar can be redrawn. */
  readonly terminal?: Terminal;
}
