// The budgets of the Worker's bundle: about a tenth above what it was when they were set (docs/releases.md).
import type { WorkerSize } from "./worker-size.ts";
import type { WorkerStart } from "./worker-start.ts";

export const budgets: Readonly<Record<keyof WorkerSize | keyof WorkerStart, number>> = {
  bytes: 0,
  gzipBytes: 0,
  scriptBytes: 0,
  wasmBytes: 0,
  modules: 0,
  functions: 0,
  calls: 0,
};
