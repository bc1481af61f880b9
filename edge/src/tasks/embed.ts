// The vectors of one picture or of one text. A text is its tenant's own: no partition but the tenant's
// holds its vectors, though every tenant would get the same (docs/decisions/0045).
import type {
  EmbedOptions,
  EmbedResponse,
  EmbedTextRequest,
} from "@blip2-edge/shared/contracts/embed";
import { readEmbedding } from "@blip2-edge/shared/wire/embedding";
import type { CatalogModel, Embedding } from "@blip2-edge/shared/wire/protocol";
import { imageEmbeddingKey, textEmbeddingKey } from "../cache/keys.ts";
import type { AuthenticatedContext } from "../context.ts";
import { embedCall } from "../nodes/calls.ts";
import { tenantPartition } from "../partition.ts";
import type { Answered } from "./answered.ts";
import { askNode, askNodeAbout } from "./ask-node.ts";
import { namedIn, type PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";
import { throughCache } from "./through-cache.ts";
import { withModel, withPicture } from "./with-model.ts";

export function embedPicture(
  rooms: Rooms,
  source: PictureSource,
  { model: name, features = "projected" }: EmbedOptions,
  context: AuthenticatedContext,
): Promise<Answered<EmbedResponse>> {
  const wish = { model: name, ability: "embed", picture: source } as const;
  return withPicture(rooms, wish, context, async (model, picture) => {
    const { imageId, partitions } = picture;
    const cached = await throughCache(
      rooms,
      {
        items: [features],
        partitions,
        keyOf: () => imageEmbeddingKey({ imageId, modelRevision: model.model_revision, features }),
        compute: async () => {
          const told = await askNodeAbout(
            rooms,
            embedCall,
            model,
            picture,
            (about) => ({ ...about, features }),
            context,
          );
          return told.embeddings;
        },
      },
      context,
    );
    const body = { ...bodyOf(cached.of(features), model), ...namedIn(picture) };
    return { outcome: cached.outcome, body };
  });
}

export function embedText(
  rooms: Rooms,
  { model: name, features = "projected", text }: EmbedTextRequest,
  context: AuthenticatedContext,
): Promise<Answered<EmbedResponse>> {
  return withModel(rooms, { model: name, ability: "embed" }, context, async (model) => {
    const cached = await throughCache(
      rooms,
      {
        items: [text],
        partitions: [tenantPartition(context.caller.tenant)],
        keyOf: () => textEmbeddingKey(model.model_revision, text, features),
        compute: async (texts) => {
          const told = await askNode(
            rooms,
            embedCall,
            model,
            (about) => ({ ...about, features, texts: [...texts] }),
            context,
          );
          return told.embeddings;
        },
      },
      context,
    );
    return { outcome: cached.outcome, body: bodyOf(cached.of(text), model) };
  });
}

function bodyOf(embedding: Embedding, { model, model_revision }: CatalogModel): EmbedResponse {
  const values = readEmbedding(embedding);
  const [rows = 0, columns] = embedding.dims;
  if (values === undefined) throw new Error("an embedding that was checked is not one");
  const dim = columns ?? rows;
  const vectors = Array.from({ length: values.length / dim }, (_, row) =>
    Array.from(values.subarray(row * dim, (row + 1) * dim)),
  );
  const [vector = []] = vectors;
  return { embedding: columns === undefined ? vector : vectors, dim, model, model_revision };
}
