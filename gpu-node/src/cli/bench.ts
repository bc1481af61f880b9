// `blip2 bench --model DIR`: throughput and latency with the machine's own limits beside them.
import { renderReport } from "../bench/render-report.ts";
import { type BenchSettings, runBench } from "../bench/run-bench.ts";
import { makeReportFolder, reportJson, writeReport } from "../bench/write-report.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { parseProvider, providerFlag, providerUsage } from "./provider-flag.ts";

export const benchUsage = `blip2 bench --model DIR [--images 1,8] [--new-tokens 12] [--concurrency 1,2,4,8,16] [--soak-minutes N] [--threads N] ${providerUsage} [--out DIR] [--json] [-- SERVE-FLAG...]`;
export const benchHelp = `  --images          images that are looked at and captioned together
  --new-tokens      tokens that every caption of the stages is forced to
  --decode-batches  sequences that are decoded together (default 1,8,16)
  --concurrency     callers at a time
  --lengths         shortest and longest caption under load (default 4,64)
  --requests        requests of each level of concurrency at least (default 8)
  --repeats         of every measurement, the best of which counts (default 3)
  --soak-minutes    load of mixed requests for so long, memory watched (default 0: none)
  --out             a folder for bench.json, bench.md and bench.svg
  --                what follows goes to the node: flags of blip2 serve

Run it on a machine that does nothing else. docs/benchmark.md says what each figure means.`;

/** Errors: `usage` that names the flag. */
export function parseBenchSettings(
  args: readonly string[],
  io: CliIo,
): BenchSettings & { readonly out: string | undefined; readonly json: boolean } {
  const split = args.indexOf("--");
  const [own, serveFlags] = split < 0 ? [args, []] : [args.slice(0, split), args.slice(split + 1)];
  const { values, positionals } = parseFlags(
    own,
    {
      model: { type: "string" },
      images: { type: "string", default: "1,8" },
      "new-tokens": { type: "string", default: "12" },
      "decode-batches": { type: "string", default: "1,8,16" },
      concurrency: { type: "string", default: "1,2,4,8,16" },
      lengths: { type: "string", default: "4,64" },
      requests: { type: "string", default: "8" },
      repeats: { type: "string", default: "3" },
      "soak-minutes": { type: "string", default: "0" },
      threads: { type: "string", default: "0" },
      ...providerFlag,
      out: { type: "string" },
      json: { type: "boolean", default: false },
    },
    benchUsage,
  );
  if (positionals.length > 0) {
    throw usageError(`"${positionals[0]}" is no flag; give the artifact with --model`, benchUsage);
  }
  if (values.model === undefined) throw usageError("Give an artifact with --model", benchUsage);
  const wrong = (flag: string, what: string): Error => usageError(`--${flag}: ${what}`, benchUsage);
  type Flag = Exclude<keyof typeof values, "json">;
  const number = (flag: Flag, min: number, max: number, pattern = /^\d+$/): number => {
    const text = values[flag] ?? "";
    const value = pattern.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw wrong(flag, `"${text}" is no number from ${min} to ${max}`);
  };
  const numbers = (flag: Flag, max: number): number[] => {
    const parts = (values[flag] ?? "").split(",");
    const found = parts.map((part) => (/^\d+$/.test(part) ? Number(part) : NaN));
    if (found.every((value) => value >= 1 && value <= max)) {
      return [...new Set(found)].sort((a, b) => a - b);
    }
    throw wrong(flag, `"${values[flag]}" is no list like 1,8 of numbers from 1 to ${max}`);
  };
  const [shortest = NaN, longest = shortest, ...more] = numbers("lengths", 256);
  if (more.length > 0) throw wrong("lengths", "give two, the shortest and the longest");
  return {
    artifact: values.model,
    images: numbers("images", 64),
    newTokens: number("new-tokens", 2, 256),
    decodeBatches: numbers("decode-batches", 64),
    concurrency: numbers("concurrency", 256),
    lengths: { shortest, longest },
    leastRequests: number("requests", 1, 10_000),
    repeats: number("repeats", 1, 100),
    soakMinutes: number("soak-minutes", 0, 10_000, /^\d+(\.\d+)?$/),
    threads: number("threads", 0, 1024),
    provider: parseProvider(values.provider, benchUsage),
    serveFlags,
    env: io.env ?? {},
    signal: io.signal,
    say: io.stderr,
    out: values.out,
    json: values.json,
  };
}

/** Exit status: 0 when everything was measured, whatever the figures. Errors: AppError, for the entry to print. */
export async function bench(args: readonly string[], io: CliIo): Promise<number> {
  const { out, json, ...settings } = parseBenchSettings(args, io);
  if (out !== undefined) await makeReportFolder(out);
  const report = await runBench(settings);
  if (out !== undefined) await writeReport(out, "bench", report);
  io.stdout(json ? JSON.stringify(reportJson(report)) : renderReport(report));
  return 0;
}
