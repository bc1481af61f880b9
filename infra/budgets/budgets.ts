// The budgets of the Worker's bundle: about a tenth above what it was when they were set (docs/releases.md).
import type { WorkerSize } from "./worker-size.ts";
import type { WorkerStart } from "./worker-start.ts";

export const budgets: Readonly<Record<keyof WorkerSize | keyof WorkerStart, number>> = {
  bytes: 4_450_000,
  gzipBytes: 1_160_000,
  scriptBytes: 3_550_000,
  wasmBytes: 900_000,
  modules: 6,
  functions: 950,
  calls: 172_000,
};
