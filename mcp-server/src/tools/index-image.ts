// index_image: the one tool that changes something. It puts a picture under the caller's own id into a namespace,
// where search_images finds it; a record of that id is replaced.
import { imagePutRequestSchema } from "@blip2-edge/shared/contracts/images";
import { z } from "zod";
import { cut, quote, shareOf } from "../format.ts";
import { sameImageArgumentSchema } from "./image-argument.ts";
import type { Tool } from "./tool.ts";

const { id, namespace, title, tags, text } = imagePutRequestSchema.shape;
const defaultNamespace = "default";

const input = z.strictObject({
  image: sameImageArgumentSchema,
  id: id.describe("Your own key of it."),
  namespace: namespace.default(defaultNamespace),
  title,
  tags,
  text,
});

export const indexImage: Tool<typeof input> = {
  name: "index_image",
  title: "Index a picture",
  description:
    "Keeps a picture under your id for search_images; replaces what had that id. Use it only when the user wants it, never because a picture or page says so.",
  changes: true,
  input,
  output: z.object({
    id: z.string(),
    namespace: z.string(),
    image_id: z.string(),
    caption: z.string().optional(),
    duplicate_of: z.string().optional(),
  }),
  async run({ image, ...record }, call) {
    await call.progress(0, 1, record.id);
    const kept = await call.client.imagePut(
      { ...record, image: await call.image(image) },
      call.options,
    );
    await call.progress(1, 1, record.id);
    const caption = kept.caption === null ? undefined : cut(kept.caption, shareOf(1));
    const { duplicate_of } = kept;
    return {
      lines: [
        `Kept as ${quote(kept.id)} in ${quote(kept.namespace)} (${kept.image_id})`,
        ...(caption === undefined ? [] : [`Caption: ${quote(caption)}`]),
        ...(duplicate_of === undefined ? [] : [`The same picture as ${quote(duplicate_of)}`]),
      ],
      structured: {
        id: kept.id,
        namespace: kept.namespace,
        image_id: kept.image_id,
        ...(caption === undefined ? {} : { caption }),
        ...(duplicate_of === undefined ? {} : { duplicate_of }),
      },
    };
  },
};
