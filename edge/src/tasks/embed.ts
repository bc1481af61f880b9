// The vectors of one picture or of one text. A text is its tenant's own: no partition but the tenant's
// holds its vectors, though every tenant would get the same (docs/decisions/0045).
import type {
  EmbedOptions,
  EmbedResponse,
  EmbedTextRequest,
} from "@blip2-edge/shared/contracts/embed";
import { readEmbedding } from "@blip2-edge/shared/wire/embedding";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import type { CatalogModel, Embedding, FeatureName } from "@blip2-edge/shared/wire/protocol";
import type { CacheOutcome } from "../cache/answer-headers.ts";
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

export interface EmbedTextsTask {
  readonly model: string | undefined;
  /** One after the other; the same may stand there twice. */
  readonly texts: readonly string[];
  readonly features: FeatureName;
  /** What the vectors must have; a model gives no other than its own. */
  readonly dimensions?: number | undefined;
}

export interface EmbeddedTexts {
  readonly model: CatalogModel;
  readonly embeddings: readonly Embedding[];
  readonly outcome: CacheOutcome;
}

export function embedTexts(
  rooms: Rooms,
  { model: name, features, texts, dimensions }: EmbedTextsTask,
  context: AuthenticatedContext,
): Promise<EmbeddedTexts> {
  return withModel(rooms, { model: name, ability: "embed" }, context, async (model) => {
    const cached = await throughCache(
      rooms,
      {
        items: [...new Set(texts)],
        partitions: [tenantPartition(context.caller.tenant)],
        keyOf: (text) => textEmbeddingKey(model.model_revision, text, features),
        compute: async (missing) => {
          const told = await askNode(
            rooms,
            embedCall,
            model,
            (about) => ({ ...about, features, texts: [...missing] }),
            context,
          );
          return told.embeddings;
        },
      },
      context,
    );
    const embeddings = texts.map(cached.of);
    const own = embeddings[0]?.dims.at(-1);
    if (dimensions !== undefined && dimensions !== own) {
      throw invalidRequest([
        { field: "dimensions", message: `must be ${own}: ${model.model} gives no other` },
      ]);
    }
    return { model, embeddings, outcome: cached.outcome };
  });
}

export async function embedText(
  rooms: Rooms,
  { model: name, features = "projected", text }: EmbedTextRequest,
  context: AuthenticatedContext,
): Promise<Answered<EmbedResponse>> {
  const task = { model: name, features, texts: [text] };
  const { model, embeddings, outcome } = await embedTexts(rooms, task, context);
  const [embedding] = embeddings;
  if (embedding === undefined) throw new Error("one text, no embedding");
  return { outcome, body: bodyOf(embedding, model) };
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
