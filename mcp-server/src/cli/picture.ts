// Pictures as the commands name them: a URL, the image_id of one that was sent before, or a file; and the loop
// over several, in which one that fails is told of and the others are done.
import { open } from "node:fs/promises";
import type { ClientImage } from "@blip2-edge/shared/client";
import { imageIdSchema } from "@blip2-edge/shared/contracts/image";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import type { CliIo } from "./io.ts";

export const pictureHelp = "  IMAGE        a file, an http or https URL, or an image_id (img_…)";

/** What no Worker takes is not read into memory. */
const maxFileBytes = 50_000_000;

/** Errors: `image_required` for a file that cannot be read, `body_too_large`. */
export async function pictureOf(argument: string): Promise<ClientImage> {
  if (/^https?:\/\//i.test(argument)) return { url: argument };
  const id = imageIdSchema.safeParse(argument);
  return id.success ? { image_id: id.data } : { bytes: await readFile(argument) };
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    if (size > maxFileBytes) {
      throw new AppError("body_too_large", `${path} has ${size} bytes; send a smaller copy.`);
    }
    return await file.readFile();
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("image_required", `${path} ${whyUnread(error)}.`, { cause: error });
  }
}

function whyUnread(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "is not there";
  if (code === "EISDIR") return "is a folder";
  if (code === "EACCES" || code === "EPERM") return "may not be read by this user";
  return `cannot be read: ${message}`;
}

/** Exit status: 0 when every picture was done, else 1. */
export async function eachPicture(
  pictures: readonly string[],
  { json, io }: { readonly json: boolean; readonly io: CliIo },
  work: (name: string, image: ClientImage) => Promise<void>,
): Promise<number> {
  let failed = 0;
  for (const name of pictures) {
    io.signal.throwIfAborted();
    try {
      await work(name, await pictureOf(name));
    } catch (error) {
      io.signal.throwIfAborted();
      // With one picture the entry says what is wrong, as for every command.
      if (!(error instanceof AppError) || (pictures.length === 1 && !json)) throw error;
      failed += 1;
      if (json) io.stdout(JSON.stringify({ image: name, problem: toProblem(error) }));
      else io.stderr(`${name}: ${error.detail}`);
    }
  }
  return failed === 0 ? 0 : 1;
}
