// What of the Worker is uploaded: the modules that `wrangler deploy --dry-run` writes, weighed as Wrangler weighs them.
import { gzipSync } from "node:zlib";
import type { WorkerBundle } from "../start/worker-bundle.ts";

export interface WorkerSize {
  /** Of all modules. */
  readonly bytes: number;
  /** Of all modules in one piece, as Wrangler's gzip. */
  readonly gzipBytes: number;
  readonly scriptBytes: number;
  readonly wasmBytes: number;
  readonly modules: number;
}

export function sizeOf({ modules }: WorkerBundle): WorkerSize {
  const all = Object.values(modules).map(({ type, contents }) => ({
    type,
    bytes: Buffer.from(contents as string),
  }));
  const bytesOf = (kind: "esm" | "wasm"): number =>
    all.reduce((sum, { type, bytes }) => sum + (type === kind ? bytes.length : 0), 0);
  const whole = Buffer.concat(all.map(({ bytes }) => bytes));
  return {
    bytes: whole.length,
    gzipBytes: gzipSync(whole).length,
    scriptBytes: bytesOf("esm"),
    wasmBytes: bytesOf("wasm"),
    modules: all.length,
  };
}
