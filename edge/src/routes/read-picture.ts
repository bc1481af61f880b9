// Which picture a request names: exactly one, in one form.
import { imageIdSchema } from "@blip2-edge/shared/contracts/image";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { decodeBase64 } from "../images/base64.ts";
import type { PictureSource } from "../tasks/open-picture.ts";
import type { RequestFields } from "./read-body.ts";

const forms = ["url", "base64", "image_id"] as const;
const required = (): AppError =>
  new AppError(
    "image_required",
    'Give one image: {"image":{"url":"…"}}, {"image":{"base64":"…"}}, {"image":{"image_id":"…"}}, or the part `image` of a multipart body.',
  );
const ambiguous = (what: string): AppError =>
  new AppError("image_ambiguous", `${what}. Send one request for each image.`);

/** Splits the fields into the picture and the rest. Throws image_required, image_ambiguous, invalid_request. */
export function readPicture(
  { json, files }: RequestFields,
  maxBytes: number,
): { readonly picture: PictureSource; readonly options: Readonly<Record<string, unknown>> } {
  const { image, ...options } = json;
  if (files.length > 1) throw ambiguous("More than one part `image` was given");
  const [file] = files;
  if (file !== undefined) {
    if (image !== undefined) throw ambiguous("Both a part `image` and a field `image` were given");
    return { picture: pictureOfBytes(file, "upload", maxBytes), options };
  }
  if (image === undefined || image === null) throw required();
  if (Array.isArray(image)) throw ambiguous("A list of images was given");
  if (typeof image !== "object") {
    throw invalidRequest([
      { field: "image", message: "must be an object with url, base64 or image_id" },
    ]);
  }
  return { picture: pictureOfObject(image as Record<string, unknown>, maxBytes), options };
}

/** Throws image_required, body_too_large. */
export function pictureOfBytes(
  bytes: Uint8Array<ArrayBuffer>,
  from: "upload" | "base64",
  maxBytes: number,
): PictureSource {
  if (bytes.length === 0) throw required();
  if (bytes.length > maxBytes) {
    throw new AppError(
      "body_too_large",
      `The picture has ${bytes.length} bytes; ${maxBytes} are the most. Send a smaller file.`,
    );
  }
  return { kind: "bytes", bytes, from };
}

/** Throws as `readPicture`. */
export function pictureOfObject(
  image: Readonly<Record<string, unknown>>,
  maxBytes: number,
): PictureSource {
  const given = forms.filter((form) => image[form] !== undefined && image[form] !== null);
  const foreign = Object.keys(image).filter((name) => !forms.some((form) => form === name));
  if (given.length > 1) throw ambiguous(`The image was given as ${given.join(" and ")}`);
  if (foreign.length > 0) {
    throw invalidRequest(
      foreign.map((name) => ({ field: `image.${name}`, message: "is not a field of an image" })),
    );
  }
  const [form] = given;
  if (form === undefined) throw required();
  const value = image[form];
  if (typeof value !== "string") {
    throw invalidRequest([{ field: `image.${form}`, message: "must be a text" }]);
  }
  if (value.trim() === "") throw required();
  switch (form) {
    case "url":
      return { kind: "url", url: value };
    case "base64":
      return pictureOfBytes(decodeBase64(value, maxBytes), "base64", maxBytes);
    case "image_id": {
      const imageId = imageIdSchema.safeParse(value);
      if (imageId.success) return { kind: "image_id", imageId: imageId.data };
      throw invalidRequest([
        { field: "image.image_id", message: "must be img_ and 64 hex digits (lower case)" },
      ]);
    }
  }
}
