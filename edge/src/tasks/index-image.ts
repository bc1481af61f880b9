// A picture becomes a record: its vectors and its caption from one look at it, then one write to the index of
// the namespace. Putting the same again changes nothing.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { ImagePutOptions, ImageRecord } from "@blip2-edge/shared/contracts/images";
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import { keepsNothing, type AuthenticatedContext } from "../context.ts";
import { tenantPartition } from "../partition.ts";
import type { IndexedBy, StoredRecord } from "../search/image-index.ts";
import { normalised } from "../search/quantise.ts";
import { autoTags } from "./auto-tags.ts";
import { caption } from "./caption.ts";
import { embedPicture } from "./embed.ts";
import { fileBehind, keepFiles } from "./keep-files.ts";
import type { PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";

export interface IndexTask {
  readonly namespace: string;
  readonly id: string;
  readonly picture: PictureSource;
  readonly options: ImagePutOptions;
}

const behindS = 30;

/** Throws the problems of pictures and nodes, index_outdated, index_full, overloaded. */
export async function indexImage(
  rooms: Rooms,
  { namespace, id, picture: given, options }: IndexTask,
  context: AuthenticatedContext,
): Promise<ImageRecord> {
  const { tenant } = context.caller;
  const index = rooms.indexOf(tenant, namespace);
  const { by: own, keepOriginals } = await index.describe();
  const keepsFile = keepOriginals && !keepsNothing(context);
  // What is kept is what was indexed, so an address is read here, whatever is known of it.
  const picture = keepsFile ? await fileBehind(rooms, given, context) : given;
  const model = options.model ?? own?.model;
  const { body } = await embedPicture(rooms, picture, { model }, context);
  const imageId = body.image_id;
  if (imageId === undefined) throw new Error("a picture's vectors without its id");
  const { source = null, title = null, text = null, tags = [], metadata = {} } = options;
  const written =
    options.caption === false ? null : await captionOf(rooms, picture, imageId, context);
  const vectors = normalised(Float32Array.from(body.embedding.flat()), body.dim);
  const by = { model: body.model, modelRevision: body.model_revision };
  const autoTagsTask = { wish: options.auto_tags, caption: written, by, vectors, dim: body.dim };
  const tagged = await autoTags(rooms, autoTagsTask, context);
  const partition = tenantPartition(tenant);
  await rooms.held.hold(partition, imageId, namespace);
  const kept = await keepFiles(rooms, { picture, imageId, namespace, keepsFile }, context);
  const outcome = await index.put({
    record: {
      ...{ id, imageId, exact: body.image_exact !== false, caption: written },
      ...{ source, title, text, tags, metadata, autoTags: tagged },
    },
    ...{ by, vectors, dim: body.dim },
    now: Date.now(),
    kept,
  });
  if (outcome.kind !== "put" && !outcome.holds) {
    await rooms.held.unhold(partition, imageId, namespace);
  }
  if (outcome.kind === "other_model") throw outdated(namespace, outcome.by);
  if (outcome.kind === "full") {
    throw new AppError(
      "index_full",
      `The namespace ${namespace} holds ${outcome.maxRecords} images, which is the most. Use another one.`,
    );
  }
  if (outcome.kind === "behind") {
    throw new AppError(
      "overloaded",
      `Too many images of the namespace ${namespace} wait for Vectorize. Put the image again later.`,
      { retryAfterS: behindS },
    );
  }
  if (keepsFile && outcome.record.originalAt === null) {
    // The namespace keeps none any more.
    await rooms.kept.dropOriginals(partition, namespace);
  }
  context.later(rooms.namespaces.note(tenant, namespace));
  if (outcome.freed !== null) await rooms.held.release(partition, outcome.freed, namespace);
  return recordAnswer(rooms, context, namespace, outcome.record);
}

export const outdated = (namespace: string, { model, modelRevision }: IndexedBy): AppError =>
  new AppError(
    "index_outdated",
    `The namespace ${namespace} was indexed with ${model} of revision ${modelRevision}, which is not what answers now. Put its images into another namespace, or delete this one (DELETE /v1/namespaces/${namespace}) and put them again.`,
  );

const isOneOf = (error: unknown, codes: readonly ProblemCode[]): boolean =>
  error instanceof AppError && codes.includes(error.code);

/** Null where no model writes captions. */
async function captionOf(
  rooms: Rooms,
  picture: PictureSource,
  imageId: ImageId,
  context: AuthenticatedContext,
): Promise<string | null> {
  const said = async (source: PictureSource): Promise<string> => {
    const { body } = await caption(rooms, source, {}, context);
    return body.text;
  };
  try {
    if (keepsNothing(context)) return await said(picture);
    try {
      // It was just opened: its pixels are at hand, and a node that has looked at it need not again.
      return await said({ kind: "image_id", imageId });
    } catch (error) {
      // Unless they are of another size than this model's.
      if (!isOneOf(error, ["image_not_found", "image_pixels_gone"])) throw error;
      return await said(picture);
    }
  } catch (error) {
    if (isOneOf(error, ["model_not_found"])) return null;
    throw error;
  }
}

export const shownOf = (record: StoredRecord) => ({
  id: record.id,
  image_id: record.imageId,
  ...(record.exact ? {} : { image_exact: false as const }),
  source: record.source,
  title: record.title,
  tags: [...record.tags],
  metadata: { ...record.metadata },
  caption: record.caption,
  ...(record.duplicateOf === null ? {} : { duplicate_of: record.duplicateOf }),
  auto_tags: [...record.autoTags],
});

export const recordAnswer = async (
  { linksOf }: Pick<Rooms, "linksOf">,
  { caller: { tenant } }: Pick<AuthenticatedContext, "caller">,
  namespace: string,
  record: StoredRecord,
): Promise<ImageRecord> => ({
  ...shownOf(record),
  ...(await linksOf({ tenant, namespace }, record)),
  namespace,
  text: record.text,
  created_at: new Date(record.createdAt).toISOString(),
  updated_at: new Date(record.updatedAt).toISOString(),
});
