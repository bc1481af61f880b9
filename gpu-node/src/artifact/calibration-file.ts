// calibration.json beside an artifact's manifest: what its scores mean, and on what that was measured. No part
// of the artifact, so the manifest does not list it. Invariant: it is never read for another revision.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { calibrationSchema, type Calibration } from "@blip2-edge/shared/wire/calibration";
import { z } from "zod";
import { writeWhole } from "../disk/write-whole.ts";
import type { Manifest } from "./manifest.ts";

const calibrationFile = "calibration.json";
const format = "blip2-edge/calibration/v1";
const maxBytes = 64 * 1024;
const howToMake =
  "Measure it anew (blip2 eval search … --calibrate), or remove the file: then scores are similarities and nothing is left out by default.";

const fileSchema = z.object({
  format: z.literal(format),
  model: z.string(),
  model_revision: z.string(),
  calibration: calibrationSchema,
  /** For people: the data, its digests, what the cut-offs keep out. */
  measured: z.record(z.string(), z.unknown()),
});
export type CalibrationFile = z.infer<typeof fileSchema>;

type Whose = Pick<Manifest, "name" | "model_revision">;

export interface NewlyMeasured {
  /** `pictures` with the stages of a search. */
  readonly calibration: Partial<Calibration>;
  readonly measured: CalibrationFile["measured"];
}

/** Undefined where there is none. Errors: `artifact_invalid` for one that cannot be read. */
export async function readCalibrationFile(folder: string): Promise<CalibrationFile | undefined> {
  const path = join(folder, calibrationFile);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new AppError("artifact_invalid", `${path} cannot be read.`, { cause });
  }
  const parsed = text.length > maxBytes ? undefined : fileSchema.safeParse(jsonOf(text));
  if (parsed?.success === true) return parsed.data;
  const [issue] = parsed?.error.issues ?? [];
  const where = issue === undefined ? "" : ` (${issue.path.join(".")}: ${issue.message})`;
  throw new AppError("artifact_invalid", `${path} is not a calibration${where}. ${howToMake}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Errors: `artifact_invalid` for one that cannot be read or was measured on another revision. */
export async function readCalibration(
  folder: string,
  { model_revision: revision }: Whose,
): Promise<Calibration | undefined> {
  const file = await readCalibrationFile(folder);
  if (file === undefined || file.model_revision === revision) return file?.calibration;
  throw new AppError(
    "artifact_invalid",
    `${join(folder, calibrationFile)} was measured on revision ${file.model_revision} of ${file.model}; the artifact beside it is revision ${revision}, whose scores it says nothing of. ${howToMake}`,
  );
}

/**
 * Stages that are not measured now stay as they stand, when they are of this revision. Errors: `usage` when the
 * disk refuses.
 */
export async function writeCalibration(
  folder: string,
  { name, model_revision: revision }: Whose,
  { calibration, measured }: NewlyMeasured,
): Promise<void> {
  const before = await readCalibrationFile(folder).catch(() => undefined);
  const kept = before?.model_revision === revision ? before : undefined;
  const file: CalibrationFile = {
    format,
    ...{ model: name, model_revision: revision },
    calibration: { ...kept?.calibration, ...calibration },
    measured: { ...kept?.measured, ...measured },
  };
  await writeWhole(join(folder, calibrationFile), `${JSON.stringify(file, null, 2)}\n`);
}

/**
 * A calibration that lies beside a checkpoint goes with the artifact that it was measured on; what was measured
 * at another precision is left out, and the log says so. Errors: as `readCalibrationFile`.
 */
export async function passOnCalibration(
  from: string,
  to: string,
  { model_revision: revision }: Whose,
  log: (line: string) => void,
): Promise<void> {
  const file = await readCalibrationFile(from);
  if (file === undefined) return;
  if (file.model_revision === revision) {
    await writeWhole(join(to, calibrationFile), `${JSON.stringify(file, null, 2)}\n`);
    return;
  }
  log(
    `${join(from, calibrationFile)} was measured on revision ${file.model_revision}, not on this one (${revision}): left out`,
  );
}
