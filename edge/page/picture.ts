// Where a picture comes from: dropped, pasted, chosen, a sample, or an address, which this page itself never
// loads: the Worker does. And how it is sent: as it is the first time, by its id from then on.
import type { ClientImage } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import type { ImageId } from "@blip2-edge/shared/contracts/image";

export type PictureSource =
  | { readonly kind: "file"; readonly name: string; readonly file: Blob }
  | { readonly kind: "url"; readonly url: string };

export interface Picture {
  readonly source: PictureSource;
  /** Known once it has been asked about. */
  imageId: ImageId | undefined;
}

const gone = new Set(["image_not_found", "image_pixels_gone"]);

/** Asks about a picture in the shortest form that works. */
export async function withImage<Answer>(
  picture: Picture,
  ask: (image: ClientImage) => Promise<Answer>,
): Promise<Answer> {
  const { imageId, source } = picture;
  if (imageId !== undefined) {
    try {
      return await ask({ image_id: imageId });
    } catch (error) {
      // A key that keeps nothing, or a picture of long ago.
      if (!(error instanceof AppError) || !gone.has(error.code)) throw error;
      picture.imageId = undefined;
    }
  }
  if (source.kind === "url") return ask({ url: source.url });
  return ask({ bytes: new Uint8Array(await source.file.arrayBuffer()) });
}

/** The first picture of what was dropped or pasted: a file, else an address. */
export function pictureIn(data: DataTransfer | null): PictureSource | undefined {
  if (data === null) return undefined;
  const file = Array.from(data.files).find(({ type }) => type.startsWith("image/") || type === "");
  if (file !== undefined) return { kind: "file", name: file.name, file };
  const [line = ""] = (data.getData("text/uri-list") || data.getData("text/plain"))
    .trim()
    .split(/\s/);
  return isAddress(line) ? { kind: "url", url: line } : undefined;
}

export const isAddress = (text: string): boolean =>
  /^https?:\/\//i.test(text) && URL.canParse(text);
