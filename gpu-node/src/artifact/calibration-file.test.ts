import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  passOnCalibration,
  readCalibration,
  readCalibrationFile,
  writeCalibration,
} from "./calibration-file.ts";

let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "blip2-calibration-"));
});
afterAll(() => rm(root, { recursive: true }));
const emptyFolder = (): Promise<string> => mkdtemp(join(root, `${(made += 1)}-`));

const own = { name: "compares", model_revision: "0123456789abcdef" };
const other = { name: "compares", model_revision: "fedcba9876543210" };
const curve = { slope: 12.5, intercept: -8, min_score: 0.4 };
const measured = { search: { texts: 3 } };

test("what is written is read again; stages that are measured later join it", async () => {
  const folder = await emptyFolder();
  expect(await readCalibration(folder, own)).toBeUndefined();
  await writeCalibration(folder, own, { calibration: { pictures: 9, itc: curve }, measured });
  expect(await readCalibration(folder, own)).toEqual({ pictures: 9, itc: curve });
  const label = { ...curve, slope: 3 };
  await writeCalibration(folder, own, { calibration: { label }, measured: { labels: {} } });
  expect(await readCalibrationFile(folder)).toMatchObject({
    model: "compares",
    calibration: { pictures: 9, itc: curve, label },
    measured: { search: { texts: 3 }, labels: {} },
  });
  expect(await readdir(folder)).toEqual(["calibration.json"]);
});

test("one of another revision is refused, with both and what to do; measured anew it begins empty", async () => {
  const folder = await emptyFolder();
  await writeCalibration(folder, other, { calibration: { pictures: 9, itc: curve }, measured });
  await expect(readCalibration(folder, own)).rejects.toMatchObject({
    code: "artifact_invalid",
    detail: expect.stringMatching(
      /revision fedcba9876543210 of compares.*revision 0123456789abcdef.*--calibrate.*remove the file/s,
    ) as string,
  });
  await writeCalibration(folder, own, { calibration: { pictures: 5, itm: curve }, measured: {} });
  expect(await readCalibration(folder, own)).toEqual({ pictures: 5, itm: curve });
});

test.each([
  ["no JSON", "{"],
  ["another format", JSON.stringify({ format: "blip2-edge/calibration/v9" })],
  [
    "a curve that turns orders round",
    JSON.stringify({
      ...{ format: "blip2-edge/calibration/v1", model: "m", measured: {} },
      ...{ model_revision: own.model_revision },
      calibration: { pictures: 1, itc: { ...curve, slope: -1 } },
    }),
  ],
])("%s is refused and not taken for none", async (_, text) => {
  const folder = await emptyFolder();
  await writeFile(join(folder, "calibration.json"), text);
  await expect(readCalibration(folder, own)).rejects.toMatchObject({
    code: "artifact_invalid",
    detail: expect.stringContaining("calibration.json is not a calibration") as string,
  });
});

test("beside a checkpoint it goes with the revision that it was measured on, and with no other", async () => {
  const from = await emptyFolder();
  const lines: string[] = [];
  const passOn = async (whose: typeof own) => {
    const to = await emptyFolder();
    await passOnCalibration(from, to, whose, (line) => void lines.push(line));
    return readdir(to);
  };
  expect(await passOn(own)).toEqual([]);
  await writeCalibration(from, own, { calibration: { pictures: 9, itc: curve }, measured });
  expect(await passOn(own)).toEqual(["calibration.json"]);
  expect(lines).toEqual([]);
  expect(await passOn(other)).toEqual([]);
  expect(lines).toEqual([expect.stringMatching(/revision 0123456789abcdef, not on this one/)]);
});
