// Pictures with their captions, from COCO's form (images and annotations) or the list that the Karpathy splits
// are published as. Nothing is left out: what does not fit is refused by name.
import { z } from "zod";
import {
  type DataFile,
  type Id,
  idSchema,
  parseDataFile,
  refuse,
  refuseRepeats,
  refuseUnknown,
  listed,
} from "./data-file.ts";

export interface CaptionedPicture {
  readonly id: Id;
  /** Below the folder of the pictures; null in files that name none, which serve scoring alone. */
  readonly file: string | null;
  /** At least one. */
  readonly captions: readonly string[];
}

const cocoSchema = z.object({
  images: z.array(z.object({ id: idSchema, file_name: z.string().min(1).optional() })),
  annotations: z.array(
    z.object({ id: idSchema.optional(), image_id: idSchema, caption: z.string() }),
  ),
});
const listSchema = z.array(
  z.object({
    image: z.string().min(1),
    caption: z.union([z.string().transform((one) => [one]), z.array(z.string()).min(1)]),
  }),
);
const shape =
  'COCO\'s {"images":[{"id","file_name"}],"annotations":[{"image_id","caption"}]} or a list [{"image","caption":[...]}]';

/** Errors: `dataset_invalid`. */
export function readCaptionFile(file: DataFile): readonly CaptionedPicture[] {
  const isList = file.text.trimStart().startsWith("[");
  const pictures = isList ? fromList(file) : fromCoco(file);
  if (pictures.length === 0) throw refuse(file, "holds no picture.");
  return pictures;
}

function fromList(file: DataFile): readonly CaptionedPicture[] {
  const list = parseDataFile(file, listSchema, shape);
  refuseRepeats(
    file,
    "the picture",
    list.map(({ image }) => image),
  );
  return list.map(({ image, caption }) => ({ id: image, file: image, captions: caption }));
}

function fromCoco(file: DataFile): readonly CaptionedPicture[] {
  const { images, annotations } = parseDataFile(file, cocoSchema, shape);
  const ids = images.map(({ id }) => id);
  refuseRepeats(file, "the image id", ids);
  refuseRepeats(
    file,
    "the annotation id",
    annotations.flatMap(({ id }) => (id === undefined ? [] : [id])),
  );
  const captions = new Map(ids.map((id) => [String(id), [] as string[]]));
  refuseUnknown(
    file,
    "has captions of images that it does not list",
    annotations.map(({ image_id }) => image_id),
    captions,
  );
  for (const { image_id, caption } of annotations) captions.get(String(image_id))?.push(caption);
  const bare = ids.filter((id) => captions.get(String(id))?.length === 0);
  if (bare.length > 0) throw refuse(file, `has no caption for the images ${listed(bare)}.`);
  return images.map(({ id, file_name = null }) => ({
    id,
    file: file_name,
    captions: captions.get(String(id)) ?? [],
  }));
}
