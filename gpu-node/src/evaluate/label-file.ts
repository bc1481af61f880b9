// Pictures with the labels that are true of them, from COCO's instances or a plain list. A label that a picture
// does not have is taken to be false of it.
import { z } from "zod";
import {
  type DataFile,
  type Id,
  idSchema,
  parseDataFile,
  refuse,
  refuseRepeats,
  refuseUnknown,
} from "./data-file.ts";

export interface LabelledPicture {
  readonly id: Id;
  readonly file: string | null;
  readonly labels: ReadonlySet<string>;
}

export interface LabelledSet {
  /** Every label of the file, in the order in which they stand there. */
  readonly labels: readonly string[];
  readonly pictures: readonly LabelledPicture[];
}

const cocoSchema = z.object({
  images: z.array(z.object({ id: idSchema, file_name: z.string().min(1).optional() })),
  annotations: z.array(z.object({ image_id: idSchema, category_id: idSchema })),
  categories: z.array(z.object({ id: idSchema, name: z.string().min(1) })).min(1),
});
const listSchema = z.array(
  z.object({ image: z.string().min(1), labels: z.array(z.string().min(1)) }),
);
const shape =
  'COCO\'s {"images":[{"id","file_name"}],"annotations":[{"image_id","category_id"}],"categories":[{"id","name"}]} or a list [{"image","labels":[...]}]';

/** Errors: `dataset_invalid`. */
export function readLabelFile(file: DataFile): LabelledSet {
  const set = file.text.trimStart().startsWith("[") ? fromList(file) : fromCoco(file);
  if (set.pictures.length === 0) throw refuse(file, "holds no picture.");
  if (set.labels.length < 2) throw refuse(file, "has fewer than two labels to tell apart.");
  return set;
}

function fromList(file: DataFile): LabelledSet {
  const list = parseDataFile(file, listSchema, shape);
  const names = list.map(({ image }) => image);
  refuseRepeats(file, "the picture", names);
  return {
    labels: [...new Set(list.flatMap(({ labels }) => labels))],
    pictures: list.map(({ image, labels }) => ({
      id: image,
      file: image,
      labels: new Set(labels),
    })),
  };
}

function fromCoco(file: DataFile): LabelledSet {
  const { images, annotations, categories } = parseDataFile(file, cocoSchema, shape);
  const ids = images.map(({ id }) => id);
  refuseRepeats(file, "the image id", ids);
  const names = new Map(categories.map(({ id, name }) => [String(id), name]));
  const found = new Map(ids.map((id) => [String(id), new Set<string>()]));
  const unlisted = "has annotations of images that it does not list";
  refuseUnknown(
    file,
    unlisted,
    annotations.map(({ image_id: id }) => id),
    found,
  );
  const unnamed = "has annotations of categories that it does not list";
  refuseUnknown(
    file,
    unnamed,
    annotations.map(({ category_id: id }) => id),
    names,
  );
  for (const { image_id: image, category_id: category } of annotations) {
    found.get(String(image))?.add(names.get(String(category)) ?? "");
  }
  return {
    labels: [...new Set(names.values())],
    pictures: images.map(({ id, file_name = null }) => ({
      id,
      file: file_name,
      labels: found.get(String(id)) ?? new Set(),
    })),
  };
}
