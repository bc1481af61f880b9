// `blip2 verify ARTIFACT --against CHECKPOINT`: parity of an artifact with its source, block by block.
import { resolveCheckpoint } from "../hub/resolve-checkpoint.ts";
import type { BlockChoice } from "../verify/choose-blocks.ts";
import { floors } from "../verify/floors.ts";
import type { BlockRecord, Parity } from "../verify/parity-file.ts";
import { verifyParity } from "../verify/verify-parity.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";

export const verifyUsage =
  "blip2 verify ARTIFACT --against CHECKPOINT [--blocks all|N] [--whole-max-bytes N] [--json]";

/** Float32 bytes of a checkpoint that two whole models in memory are reasonable for. */
const defaultWholeMaxBytes = 2_000_000_000;

export const verifyHelp = `Runs every block of the artifact beside the same block made from the checkpoint in float32, on the same
input, and writes the figures to parity.json beside the manifest. Exit status 0 when every block reaches the
floor of its precision, 1 otherwise.

  --against CHECKPOINT  a folder or a hub name: what the artifact was built from
  --blocks all|N        of every kind of block that repeats, all (the default) or N from first to last
  --whole-max-bytes N   also compare greedy generations when the checkpoint in float32 has no more bytes
                        (default ${defaultWholeMaxBytes}); 0 leaves it out
  --json                one object a line: each block, then the verdict

Floors of the cosine: ${Object.entries(floors)
  .map(([precision, { cosine }]) => `${precision} ${cosine}`)
  .join(", ")}.`;

function parseChoice(text: string): BlockChoice {
  if (text === "all") return text;
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1) {
    throw usageError(`--blocks: "${text}" is neither "all" nor a number from 1 on`, verifyUsage);
  }
  return count;
}

function parseBytes(text: string): number {
  const bytes = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(bytes)) {
    throw usageError(`--whole-max-bytes: "${text}" is not a number of bytes`, verifyUsage);
  }
  return bytes;
}

const tableHead =
  "part      block                           precision  cosine      update      max error  relative";

function tableRow(record: BlockRecord): string {
  const { part, block, precision, cosine, max_abs_error: error, relative_error: relative } = record;
  const update = record.update_cosine?.toFixed(8) ?? "-";
  return [
    part.padEnd(8),
    block.padEnd(30),
    precision.padEnd(9),
    cosine.toFixed(8),
    update.padEnd(10),
    error.toExponential(1).padStart(9),
    relative.toExponential(1).padStart(8),
    ...(record.passed ? [] : ["SHORT"]),
  ].join("  ");
}

function describeWhole(whole: Parity["whole"]): string {
  if ("skipped" in whole) return `whole: not compared, ${whole.skipped}`;
  const { greedy, itm } = whole;
  const cosines = Object.entries(whole.cosine).map(
    ([name, cosine]) => `${name} ${cosine.toFixed(8)}`,
  );
  const ends = [
    ...(greedy === undefined
      ? []
      : [
          `${greedy.identical_generations} of ${greedy.generations} greedy generations identical (${(100 * greedy.identical_ids).toFixed(1)}% of the ids)`,
        ]),
    ...(itm === undefined ? [] : [`ITM differs by ${itm.max_difference.toExponential(1)} at most`]),
  ];
  return `whole: ${[...ends, `cosine ${cosines.join(", ")}`].join("; ")}`;
}

/** Lines below the table. */
function verdict({ whole, short, blocks, passed }: Parity): string[] {
  const conclusion = passed
    ? `parity: all ${blocks.length} blocks reach their floors`
    : `parity: ${short.length} of ${blocks.length} blocks fall short: ${short.join(", ")}`;
  return ["", describeWhole(whole), conclusion];
}

/** Exit status: 0 when every block reaches its floor. Errors: AppError, for the entry to print. */
export async function verify(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    {
      against: { type: "string" },
      blocks: { type: "string", default: "all" },
      "whole-max-bytes": { type: "string", default: String(defaultWholeMaxBytes) },
      json: { type: "boolean", default: false },
    },
    verifyUsage,
  );
  const [artifact, ...more] = positionals;
  if (artifact === undefined || more.length > 0 || values.against === undefined) {
    throw usageError("Give one artifact folder and --against", verifyUsage);
  }
  const blocks = parseChoice(values.blocks);
  const wholeMaxBytes = parseBytes(values["whole-max-bytes"]);
  let headed = values.json;
  const parity = await verifyParity({
    artifact,
    checkpoint: await resolveCheckpoint(values.against, io.env ?? {}),
    blocks,
    wholeMaxBytes,
    signal: io.signal,
    log: io.stderr,
    onBlock(record) {
      if (!headed) io.stdout(tableHead);
      headed = true;
      io.stdout(values.json ? JSON.stringify(record) : tableRow(record));
    },
  });
  if (values.json) {
    const { blocks: all, measured, ...rest } = parity;
    io.stdout(JSON.stringify({ artifact, ...rest, blocks: all.length, fed: measured.fed }));
  } else {
    for (const line of verdict(parity)) io.stdout(line);
  }
  return parity.passed ? 0 : 1;
}
