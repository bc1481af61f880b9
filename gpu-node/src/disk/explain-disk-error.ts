// Says in a user's words why a disk refuses to be written; builds and downloads both end that way.
import { AppError } from "@blip2-edge/shared/problem";

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOTDIR: "a part of the path is a file",
  EEXIST: "something else was written there meanwhile",
  ENOTEMPTY: "something else was written there meanwhile",
};

/** A system error about `place` becomes AppError `usage`; every other error stays as it is. */
export function explainDiskError(error: unknown, place: string, advice = ""): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = Object.hasOwn(reasons, code) ? reasons[code] : undefined;
  if (error instanceof AppError || reason === undefined) return error;
  const detail = [`${place} cannot be written: ${reason}.`, advice].filter((text) => text !== "");
  return new AppError("usage", detail.join(" "), { cause: error });
}
