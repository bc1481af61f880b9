// What an evaluation has found so far, beside its report: a head that says what is being measured, then a line
// for each finding, so that one that was ended goes on where it stood. Removed once the report is there.
import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { AppError } from "@blip2-edge/shared/problem";
import { explainDiskError } from "../../disk/explain-disk-error.ts";

export interface PartialResults<Finding> {
  /** What an earlier run left. */
  readonly found: readonly Finding[];
  add(finding: Finding): Promise<void>;
  close(): Promise<void>;
  remove(): Promise<void>;
}

/** Without a report there is nothing beside which to keep it. */
const nothingKept: PartialResults<never> = {
  found: [],
  add: async () => {},
  close: async () => {},
  remove: async () => {},
};

/**
 * `head` is everything that decides the findings. Errors: `usage` when the file is about something else, or
 * cannot be written.
 */
export async function openPartialResults<Finding>(
  report: string | undefined,
  head: Readonly<Record<string, unknown>>,
): Promise<PartialResults<Finding>> {
  if (report === undefined) return nothingKept as PartialResults<Finding>;
  const path = `${report}.partial`;
  const headLine = JSON.stringify(head);
  const before = await readFile(path, "utf8").catch(() => "");
  // A last line without its end was being written when the run was ended.
  const lines = before.split("\n").slice(0, -1);
  if (lines[0] !== undefined && lines[0] !== headLine) {
    throw new AppError(
      "usage",
      `${path} was begun with other settings (${differences(lines[0], head)}). Take those again to go on, or remove the file to begin anew.`,
    );
  }
  let file: FileHandle;
  try {
    file = await open(path, lines[0] === undefined ? "w" : "r+");
    if (lines[0] === undefined) await file.write(`${headLine}\n`);
    else await file.truncate(Buffer.byteLength(`${lines.join("\n")}\n`));
  } catch (error) {
    throw explainMissing(explainDiskError(error, path), path);
  }
  let end = (await file.stat()).size;
  return {
    found: lines.slice(1).map((line) => JSON.parse(line) as Finding),
    async add(finding) {
      const line = Buffer.from(`${JSON.stringify(finding)}\n`);
      try {
        await file.write(line, 0, line.length, end);
      } catch (error) {
        throw explainDiskError(error, path);
      }
      end += line.length;
    },
    close: () => file.close(),
    remove: () => rm(path, { force: true }),
  };
}

const explainMissing = (error: unknown, path: string): unknown =>
  error instanceof Error && "code" in error && error.code === "ENOENT"
    ? new AppError("usage", `${path} cannot be written: its folder is not there.`, { cause: error })
    : error;

/** The fields that differ, each as it was. */
function differences(line: string, head: Readonly<Record<string, unknown>>): string {
  try {
    const before = JSON.parse(line) as Record<string, unknown>;
    const names = [...new Set([...Object.keys(before), ...Object.keys(head)])];
    return names
      .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(head[name]))
      .map((name) => `${name}: ${JSON.stringify(before[name])}`)
      .join(", ");
  } catch {
    return "its first line is damaged";
  }
}
