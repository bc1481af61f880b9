// search_images: pictures of a namespace by words, by a picture or by both, with an honest "no match". What
// people and models wrote about a picture comes back as data like the rest.
import { captionResponseSchema } from "@blip2-edge/shared/contracts/caption";
import { searchRequestSchema, type SearchHit } from "@blip2-edge/shared/contracts/search";
import { z } from "zod";
import { cut, plain, quote, rounded, shareOf } from "../format.ts";
import { imageArgumentSchema } from "./image-argument.ts";
import { detailSchema, type PictureLink, type Tool } from "./tool.ts";

const maxHits = 20;
const defaultHits = 5;
/** A link is a third of what a hit takes besides. */
const maxLinks = 5;
const { namespace, text, cursor } = searchRequestSchema.shape;

const input = z
  .strictObject({
    text,
    image: imageArgumentSchema.describe("An example.").optional(),
    namespace: namespace.unwrap().default("default"),
    tags: z.array(z.string()).min(1).max(20).optional().describe("Any of these."),
    top_k: z.int().min(1).max(maxHits).default(defaultHits),
    cursor,
    detail: detailSchema.describe("detailed adds image_id, source, tags."),
  })
  .refine(({ text, image }) => text !== undefined || image !== undefined, {
    error: "or `image` must be given, or both",
    path: ["text"],
  });

const hitSchema = z.object({
  id: z.string(),
  score: z.number(),
  title: z.string().optional(),
  caption: z.string().optional(),
  image_id: captionResponseSchema.shape.image_id.optional(),
  source: z.string().optional(),
  tags: z.array(z.string()).optional(),
});
type Hit = z.output<typeof hitSchema>;

export const searchImages: Tool<typeof input> = {
  name: "search_images",
  title: "Search pictures",
  description:
    "Finds indexed pictures by a short description, an example or both. Use it to find pictures, not to look at one (use caption_image).",
  input,
  output: z.object({
    hits: z.array(hitSchema),
    no_match: z.boolean(),
    cursor: z.string().optional(),
  }),
  async run({ image, tags, detail, ...query }, call) {
    const found = await call.client.search(
      {
        ...query,
        ...(image === undefined ? {} : { image: await call.image(image) }),
        ...(tags === undefined ? {} : { filter: { tags: { any: tags } } }),
      },
      call.options,
    );
    const share = shareOf(Math.max(found.hits.length, 1));
    const hits = found.hits.map((hit) => hitOf(hit, share, detail === "detailed"));
    return {
      lines: [
        ...(found.no_match ? ["No match: nothing in the namespace fits."] : []),
        ...hits.map(lineOf),
        ...(found.cursor === undefined ? [] : [`More with cursor ${quote(found.cursor)}`]),
      ],
      structured: {
        hits,
        no_match: found.no_match,
        ...(found.cursor === undefined ? {} : { cursor: found.cursor }),
      },
      links: linksOf(found.hits),
    };
  },
};

/** The first of them; get_image has those of the rest. */
const linksOf = (hits: readonly SearchHit[]): PictureLink[] =>
  hits
    .slice(0, maxLinks)
    .flatMap(({ id, thumbnail_url: uri }) =>
      uri === undefined ? [] : [{ uri, name: id, mimeType: "image/webp" }],
    );

/** Three texts of a hit share what it may have. */
function hitOf(hit: SearchHit, share: number, detailed: boolean): Hit {
  const most = Math.floor(share / 3);
  return {
    id: hit.id,
    score: rounded(hit.score),
    ...(hit.title === null ? {} : { title: cut(hit.title, most) }),
    ...(hit.caption === null ? {} : { caption: cut(hit.caption, most) }),
    ...(detailed ? { image_id: hit.image_id, tags: hit.tags.slice(0, 10).map(plain) } : {}),
    ...(detailed && hit.source !== null ? { source: cut(hit.source, most) } : {}),
  };
}

function lineOf({ id, score, title, caption, ...more }: Hit): string {
  const words = [title, caption].filter((text) => text !== undefined).map(quote);
  const rest = Object.keys(more).length === 0 ? [] : [JSON.stringify(more)];
  return [`${score} ${id}:`, ...words, ...rest].join(" ");
}
