// get_image: one indexed picture by its id, with links to its files. Its pixels come only when they are asked for,
// small, and as an image, which hosts show instead of reading.
import { imageRecordSchema, oneImageSchema } from "@blip2-edge/shared/contracts/images";
import { z } from "zod";
import { cut, quote, shareOf } from "../format.ts";
import type { PictureLink, Tool } from "./tool.ts";

const defaultNamespace = "default";
const { id, namespace } = oneImageSchema.shape;
const kept = imageRecordSchema.shape;
const thumbnailType = "image/webp";
const maxTags = 10;

const input = z.strictObject({
  id,
  namespace: namespace.default(defaultNamespace),
  thumbnail: z.boolean().optional().describe("Also show it, small."),
});

const output = z.object({
  id: z.string(),
  namespace: z.string(),
  image_id: z.string(),
  title: z.string().optional(),
  text: z.string().optional(),
  caption: z.string().optional(),
  source: z.string().optional(),
  tags: kept.tags.optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});
type Shown = z.output<typeof output>;

export const getImage: Tool<typeof input> = {
  name: "get_image",
  title: "Get a picture",
  description:
    "Gives the record of one indexed picture and links to it. Use it to show a hit or read all about it, not to find pictures (use search_images).",
  input,
  output,
  async run({ thumbnail, ...named }, call) {
    const record = await call.client.imageRead(named, call.options);
    const shown = shownOf(record);
    const { thumbnail_url: small, original_url: original } = record;
    const picture =
      thumbnail === true && small !== undefined
        ? { bytes: await call.follow(small), mimeType: thumbnailType }
        : undefined;
    const hasNone = thumbnail === true && small === undefined;
    return {
      lines: [...linesOf(shown), ...(hasNone ? ["No thumbnail is kept of it."] : [])],
      structured: { ...shown },
      links: [
        ...(small === undefined
          ? []
          : [{ uri: small, name: `${record.id} (thumbnail)`, mimeType: thumbnailType }]),
        ...(original === undefined ? [] : [{ uri: original, name: record.id }]),
      ] satisfies PictureLink[],
      picture,
    };
  },
};

/** Its texts share what a result may have; of what is null or empty nothing is said. */
function shownOf(record: z.output<typeof imageRecordSchema>): Shown {
  const share = Math.floor(shareOf(1) / 2);
  const told = (name: "title" | "text" | "caption" | "source", most = share) => {
    const value = record[name];
    return value === null ? {} : { [name]: cut(value, most) };
  };
  const metadata = JSON.stringify(record.metadata);
  return {
    id: record.id,
    namespace: record.namespace,
    image_id: record.image_id,
    ...told("title"),
    ...told("text"),
    ...told("caption"),
    ...told("source", Math.floor(share / 2)),
    ...(record.tags.length === 0 ? {} : { tags: record.tags.slice(0, maxTags) }),
    ...(metadata === "{}" || metadata.length > share ? {} : { metadata: record.metadata }),
  };
}

function linesOf({ id, namespace, image_id, ...more }: Shown) {
  return [
    `${quote(id)} in ${quote(namespace)} (${image_id})`,
    ...Object.entries(more).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
  ];
}
