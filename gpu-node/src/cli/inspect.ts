// `blip2 inspect DIR [--json] [--verify]`
import { parseArgs } from "node:util";
import { AppError } from "@blip2-edge/shared/problem";
import { calibratedStages, type Calibration } from "@blip2-edge/shared/wire/calibration";
import { readCalibration } from "../artifact/calibration-file.ts";
import { openArtifact } from "../artifact/open-artifact.ts";
import type { Precision, MatrixStorage } from "../artifact/precision.ts";
import { verifyArtifact } from "../artifact/verify-artifact.ts";
import { type ArtifactDescription, describeArtifact } from "../build/describe-artifact.ts";
import { createProgress, formatBytes } from "../build/progress.ts";
import type { CliIo } from "./io.ts";

export const inspectUsage = "blip2 inspect DIR [--json] [--verify]";

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        verify: { type: "boolean", default: false },
      },
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("usage", `${why}. Usage: ${inspectUsage}`, { cause });
  }
}

function formatStorage(storage: MatrixStorage): string {
  if (typeof storage === "string") return storage;
  if ("rotation" in storage) return `int8 in rows, rotated by ${storage.rotation}`;
  return `int${storage.bits} in blocks of ${storage.block}${storage.zero_points ? " with zero points" : ""}`;
}

const formatPartPrecision = (stored: Precision["parts"][string]): string =>
  typeof stored === "string"
    ? stored
    : [
        `matrices ${formatStorage(stored.matrices)}`,
        `tables ${formatStorage(stored.tables)}`,
        `head ${formatStorage(stored.head)}`,
        "the rest fp32",
      ].join(", ");

function formatCalibration(calibration: Calibration | undefined): string[] {
  if (calibration === undefined) return [];
  const { pictures } = calibration;
  const stages = calibratedStages.filter((stage) => calibration[stage] !== undefined);
  return [
    "",
    `calibrated: ${stages.join(", ")}${pictures === undefined ? "" : `, among ${pictures.toLocaleString("en")} pictures`}`,
  ];
}

function formatDescription(described: ArtifactDescription): string[] {
  const { name, model_revision: revision, family, precision, dim } = described;
  return [
    `${name} ${revision}  (${family}, ${precision}, format ${described.format})`,
    `image ${described.image_size} x ${described.image_size}, ${described.queries} queries, context ${described.context}, vocabulary ${described.vocab}${dim === undefined ? "" : `, ${dim} dimensions`}`,
    `${described.parameters.toLocaleString("en")} parameters, ${formatBytes(described.bytes)}, source ${described.source_digest}`,
    "",
    ...Object.entries(described.parts).map(
      ([part, { parameters, bytes, bits_per_weight: bits, source_digest: digest }]) =>
        `${part.padEnd(8)}  ${parameters.toLocaleString("en").padStart(15)} parameters  ${bits.toFixed(2).padStart(5)} bits each  ${formatBytes(bytes).padStart(9)}  source ${digest.slice(0, 16)}`,
    ),
    ...Object.entries(described.parts).map(
      ([part, { precision: stored }]) => `${part.padEnd(8)}  ${formatPartPrecision(stored)}`,
    ),
    "",
    ...Object.entries(described.files).map(
      ([file, { bytes, sha256 }]) =>
        `${file.padEnd(22)}  ${formatBytes(bytes).padStart(9)}  sha256 ${sha256}`,
    ),
  ];
}

/** Exit status: 0 when the artifact is whole. Errors: AppError, for the entry to print. */
export async function inspect(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parse(args);
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) {
    throw new AppError("usage", `Give one artifact folder. Usage: ${inspectUsage}`);
  }
  const artifact = await openArtifact(folder);
  const described = await describeArtifact(artifact, io.signal);
  const calibration = await readCalibration(folder, artifact.manifest);
  if (values.verify) {
    const progress = createProgress(io.stderr, "verifying", described.bytes);
    await verifyArtifact(folder, { signal: io.signal, onBytes: progress.add });
  }
  if (values.json) {
    const told = calibration === undefined ? described : { ...described, calibration };
    io.stdout(JSON.stringify(values.verify ? { ...told, verified: true } : told));
    return 0;
  }
  for (const line of formatDescription(described)) io.stdout(line);
  for (const line of formatCalibration(calibration)) io.stdout(line);
  if (values.verify) io.stdout("verified: every file's content is what was built");
  return 0;
}
