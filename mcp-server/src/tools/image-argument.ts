// How a tool's caller names a picture: one text, which is a URL, the image_id of an earlier answer or, where
// the server runs beside the caller's files, a path. Never base64: it would fill the caller's context.
import type { ClientImage } from "@blip2-edge/shared/client";
import { imageIdSchema, imageUrlSchema } from "@blip2-edge/shared/contracts/image";
import { AppError } from "@blip2-edge/shared/problem";

/** Reads a local picture that the caller may have read. Throws AppError. */
export type OpenFile = (path: string, signal: AbortSignal) => Promise<Uint8Array>;

/** Where another tool, or the server's instructions, say what it is. */
export const sameImageArgumentSchema = imageUrlSchema;
export const imageArgumentSchema = imageUrlSchema.describe(
  "http(s) URL, image_id (img_…) of an earlier result or, if the server is local, a path. No base64.",
);

/** Throws invalid_request for what is none of these, and what `openFile` throws. */
export async function openImage(
  argument: string,
  openFile: OpenFile | undefined,
  signal: AbortSignal,
): Promise<ClientImage> {
  if (/^https?:\/\//i.test(argument)) return { url: argument };
  const id = imageIdSchema.safeParse(argument);
  if (id.success) return { image_id: id.data };
  if (/^data:/i.test(argument)) {
    throw new AppError("invalid_request", "Pictures are not taken as base64 or data URLs here.");
  }
  if (argument.startsWith("img_")) {
    throw new AppError("invalid_request", "An image_id is img_ and 64 hex digits (lower case).");
  }
  if (openFile === undefined) {
    throw new AppError("invalid_request", "This server reads no files.");
  }
  return { bytes: await openFile(argument, signal) };
}
