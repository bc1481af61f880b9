// A search from end to end: the query's vectors, the index's stages, image-text matching of the first few where
// it is asked for, the cut-off, one page.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import {
  defaultCandidates,
  defaultRerank,
  defaultTopK,
  type SearchHit,
  type SearchOptions,
  type SearchResponse,
} from "@blip2-edge/shared/contracts/search";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { sha256Hex } from "@blip2-edge/shared/hex";
import { AppError } from "@blip2-edge/shared/problem";
import { wordsIn, type Calibration } from "@blip2-edge/shared/wire/calibration";
import { readEmbedding } from "@blip2-edge/shared/wire/embedding";
import pMap from "p-map";
import { canonicalJson } from "../cache/canonical-json.ts";
import type { AuthenticatedContext } from "../context.ts";
import type { IndexedBy, Ranked, RankRequest } from "../search/image-index.ts";
import {
  amongPictures,
  orderHits,
  reordered,
  textStage,
  type Calibrated,
  type OrderedHit,
} from "../search/order-hits.ts";
import { normalised } from "../search/quantise.ts";
import { embedPicture, embedTexts } from "./embed.ts";
import { outdated, shownOf } from "./index-image.ts";
import type { PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";
import { score } from "./score.ts";

const defaultNamespace = "default";
/** Pictures that are judged at a time. */
const judgedAtOnce = 4;

export interface SearchTask {
  readonly options: SearchOptions;
  /** With a text or without. */
  readonly picture: PictureSource | undefined;
}

/** Throws invalid_request, index_outdated, candidates_unavailable, and the problems of pictures and nodes. */
export async function search(
  rooms: Rooms,
  { options, picture }: SearchTask,
  context: AuthenticatedContext,
): Promise<SearchResponse> {
  const { namespace = defaultNamespace, text, max_similarity: maxSimilarity = true } = options;
  const { hybrid = false, top_k: topK = defaultTopK } = options;
  const index = rooms.indexOf(context.caller.tenant, namespace);
  const { by, pictures } = await index.describe();
  if (by === null) return nothing(namespace, options);
  const query = await queryOf(rooms, { namespace, by, text, picture }, context);
  const outcome = await index.rank({
    ...query.vectors,
    ...{ by: query.by, maxSimilarity, candidates: options.candidates ?? defaultCandidates },
    ...(hybrid && text !== undefined ? { words: text } : {}),
    ...(options.filter === undefined ? {} : { filter: options.filter }),
  });
  if (outcome.kind === "other_model") throw outdated(namespace, outcome.by);
  if (outcome.kind === "unknown_fields") throw unknownFields(outcome.fields);
  if (outcome.kind === "unavailable") throw candidatesUnavailable(namespace);

  const calibration = calibratedFor(query, text, pictures);
  const way = { text: text !== undefined, image: picture !== undefined, hybrid, maxSimilarity };
  const ordered = orderHits(outcome.records, way, calibration);
  const first = rerankOf(options);
  const isJudged = first > 0 && text !== undefined;
  const hits = isJudged
    ? reordered(
        ordered,
        first,
        await judge(rooms, ordered.slice(0, first), text, by, context),
        calibration,
      )
    : ordered;

  const minOf = (stage: "text_mean" | "itc" | "itm"): number =>
    options.min_score ?? (way.text ? (calibration?.[stage]?.min_score ?? 0) : 0);
  const [before, after] = [minOf(textStage(way)), minOf("itm")];
  const isFound = ({ told, score: value, decidedBy }: OrderedHit): boolean =>
    told || value >= (decidedBy === "itm" ? after : before);
  const found = hits.filter(isFound);

  const asked = { namespace, ...options, top_k: undefined, cursor: undefined };
  const cursors = await cursorsOf(rooms, { ...asked, image: query.imageId ?? null, by }, context);
  const from = await cursors.read(options.cursor);
  const page = found.slice(from, from + topK);
  const records = new Map(
    (await index.read(page.map(({ id }) => id))).map((record) => [record.id, record]),
  );
  const to = from + page.length;
  context.event["search_hits"] = page.length;
  context.event["search_found"] = found.length;
  const whose = { tenant: context.caller.tenant, namespace };
  const shown = page.map(async (hit): Promise<SearchHit[]> => {
    // It may have been deleted meanwhile.
    const record = records.get(hit.id);
    if (record === undefined) return [];
    const { score: value, scores, decidedBy } = hit;
    const links = await rooms.linksOf(whose, record);
    return [{ ...shownOf(record), ...links, score: value, decided_by: decidedBy, scores }];
  });
  return {
    hits: (await Promise.all(shown)).flat(),
    no_match: found.length === 0,
    ...(to < found.length ? { cursor: await cursors.write(to) } : {}),
    namespace,
    model: by.model,
    model_revision: by.modelRevision,
    min_score: isJudged ? after : before,
    calibrated: way.text && calibration?.[isJudged ? "itm" : textStage(way)] !== undefined,
    vision_passes: Number(context.event["node_vision_passes"] ?? 0),
  };
}

/** Undefined: nobody has measured what the model's scores mean for a text, or none was asked with. */
function calibratedFor(
  { calibration, vectors: { text: vector } }: Query,
  text: string | undefined,
  pictures: number,
): Calibrated | undefined {
  if (calibration === undefined || text === undefined || vector === undefined) return undefined;
  return { ...amongPictures(calibration, pictures), facts: { words: wordsIn(text), vector } };
}

const rerankOf = ({ rerank = false }: SearchOptions): number =>
  rerank === true ? defaultRerank : rerank === false ? 0 : rerank;

const nothing = (
  namespace: string,
  { min_score: minScore = 0 }: SearchOptions,
): SearchResponse => ({
  ...{ hits: [], no_match: true, namespace, model: null, model_revision: null },
  ...{ min_score: minScore, calibrated: false, vision_passes: 0 },
});

const candidatesUnavailable = (namespace: string): AppError =>
  new AppError(
    "candidates_unavailable",
    `Vectorize, which finds the candidates of the namespace ${namespace}, does not answer. Search again later, or with a filter that leaves fewer images.`,
    { retryAfterS: 5 },
  );

const unknownFields = (fields: readonly string[]): AppError =>
  invalidRequest(
    fields.map((field) => ({
      field: `filter.metadata.${field}`,
      message: "is a field that no image of the namespace has",
    })),
  );

interface Query {
  readonly by: IndexedBy;
  readonly vectors: Pick<RankRequest, "text" | "image">;
  readonly imageId: string | undefined;
  /** Of the text's model, at the revision that made its vector. */
  readonly calibration: Calibration | undefined;
}

/** The vectors of what is asked, by the model of the index. */
async function queryOf(
  rooms: Rooms,
  {
    namespace,
    by,
    text,
    picture,
  }: {
    readonly namespace: string;
    readonly by: IndexedBy;
    readonly text: string | undefined;
    readonly picture: PictureSource | undefined;
  },
  context: AuthenticatedContext,
): Promise<Query> {
  const { model } = by;
  try {
    const ofText =
      text === undefined
        ? undefined
        : await embedTexts(rooms, { model, features: "projected", texts: [text] }, context);
    const ofPicture =
      picture === undefined
        ? undefined
        : (await embedPicture(rooms, picture, { model }, context)).body;
    const [embedding] = ofText?.embeddings ?? [];
    const values = embedding === undefined ? undefined : readEmbedding(embedding);
    const revision = ofText?.model.model_revision ?? ofPicture?.model_revision;
    return {
      by: { model, modelRevision: revision ?? by.modelRevision },
      vectors: {
        ...(values === undefined ? {} : { text: normalised(values, values.length) }),
        ...(ofPicture === undefined
          ? {}
          : { image: normalised(Float32Array.from(ofPicture.embedding.flat()), ofPicture.dim) }),
      },
      imageId: ofPicture?.image_id,
      calibration: ofText?.model.calibration,
    };
  } catch (error) {
    // Nobody can make vectors that could be compared with those of the index.
    if (error instanceof AppError && error.code === "model_not_found")
      throw outdated(namespace, by);
    throw error;
  }
}

/** The ITM probability of each picture, by image_id; none for one whose pixels are gone. */
async function judge(
  rooms: Rooms,
  hits: readonly Ranked[],
  text: string,
  { model }: IndexedBy,
  context: AuthenticatedContext,
): Promise<ReadonlyMap<string, number>> {
  const judged = new Map<string, number>();
  const one = async (imageId: ImageId): Promise<void> => {
    try {
      const picture = { kind: "image_id", imageId } as const;
      const task = { picture, model, texts: [text], scores: ["itm"] } as const;
      judged.set(imageId, (await score(rooms, task, context)).of(text, "itm"));
    } catch (error) {
      const isGone =
        error instanceof AppError &&
        (error.code === "image_pixels_gone" || error.code === "image_not_found");
      if (!isGone) throw error;
    }
  };
  const pictures = new Set(hits.map(({ imageId }) => imageId));
  await pMap(pictures, one, { concurrency: judgedAtOnce });
  return judged;
}

/** Cursors that fit one query of one tenant: sealed, so that none can be made or changed outside. */
async function cursorsOf({ sealer }: Rooms, query: object, { caller }: AuthenticatedContext) {
  const digest = await sha256Hex(canonicalJson({ tenant: caller.tenant, ...query }));
  const purpose = `search-cursor ${digest}`;
  return {
    write: (from: number): Promise<string> => sealer.seal(purpose, String(from)),
    async read(cursor: string | undefined): Promise<number> {
      if (cursor === undefined) return 0;
      const from = await sealer.open(purpose, cursor);
      if (from !== undefined) return Number(from);
      throw invalidRequest([
        { field: "cursor", message: "is not one of an answer to this query; ask without it" },
      ]);
    },
  };
}
