// Which local files a host's agent may have read: regular files that are pictures, inside the folders that were
// allowed when the server was started or that the host names as its roots. Links are resolved before anything
// is compared, so none leads out; about every other file nothing is said, not even whether it exists.
import { constants } from "node:fs";
import { open, realpath } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { imageType } from "@blip2-edge/shared/image/header";
import { AppError } from "@blip2-edge/shared/problem";

const maxFileBytes = 50_000_000;
/** As many as the longest magic bytes take. */
const headBytes = 16;

const outside = (): AppError =>
  new AppError(
    "invalid_request",
    "No picture that may be read is at this path. Files are read only inside the folders that this server was started with (--allow) or that the host names as its roots.",
  );

/** The folders as they really are; those that are not there allow nothing. */
export async function realFolders(folders: readonly string[]): Promise<string[]> {
  const resolved = await Promise.all(folders.map((folder) => realpath(folder).catch(() => "")));
  return resolved.filter((folder) => folder !== "");
}

const isInside = (file: string, folder: string): boolean => {
  const relative = path.relative(folder, file);
  return relative !== "" && !relative.startsWith("..") && !path.isAbsolute(relative);
};

/**
 * Relative paths are looked for in every folder. Throws invalid_request, which does not tell apart what does not
 * exist and what may not be read; body_too_large.
 */
export async function readLocalPicture(
  name: string,
  folders: readonly string[],
): Promise<Uint8Array> {
  const wanted = pathOf(name);
  const candidates = path.isAbsolute(wanted)
    ? [wanted]
    : folders.map((folder) => path.join(folder, wanted));
  for (const candidate of candidates) {
    const real = await realpath(candidate).catch(() => undefined);
    if (real === undefined || !folders.some((folder) => isInside(real, folder))) continue;
    return readRegularFile(real);
  }
  throw outside();
}

function pathOf(name: string): string {
  if (name.includes("\0")) throw outside();
  if (!/^file:/i.test(name)) return name;
  try {
    return fileURLToPath(name);
  } catch {
    throw outside();
  }
}

async function readRegularFile(real: string): Promise<Uint8Array> {
  // Not through a link that took the file's place meanwhile, and not waiting for a pipe.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  await using file = await open(real, flags).catch(() => {
    throw outside();
  });
  const facts = await file.stat();
  // Nor through a folder that was exchanged for a link.
  if (!facts.isFile() || (await realpath(real).catch(() => "")) !== real) throw outside();
  if (facts.size > maxFileBytes) {
    throw new AppError("body_too_large", `The file has ${facts.size} bytes; give a smaller copy.`);
  }
  const head = new Uint8Array(headBytes);
  await file.read(head, 0, headBytes, 0);
  if (imageType(head) === undefined) throw outside();
  return file.readFile();
}
