// Which records of the embedded index a query is about, and what each stage says of them: by filter, by words, by the
// averaged vector of every picture, then by all query vectors of the best. Reads only; tasks/search.ts puts them in order.
import { conditionsOf } from "./filter-sql.ts";
import type { Ranked, RankRequest } from "./image-index.ts";
import { vectorsOf, type IndexValue, type RecordRow } from "./index-sql.ts";
import type { MeanTable } from "./mean-table.ts";
import { averaged, type CodedVectors } from "./quantise.ts";
import { maxSimilarity, pictureSimilarity } from "./similarity.ts";
import { wordRanking } from "./word-ranking.ts";

export interface RankingTables {
  readonly all: <Row>(query: string, ...values: IndexValue[]) => Row[];
  /** The number `n` of the first row; 0 without one. */
  readonly count: (query: string, ...values: IndexValue[]) => number;
  readonly loadedMeans: (dim: number) => MeanTable;
  /** How many there are. */
  readonly records: () => number;
}

export interface SqlRanking {
  /** Fields of the filter that no record has. */
  unknownFields(request: RankRequest): string[];
  /** Keys of the pictures that the filter leaves, so many at most; undefined: there is no filter. */
  filtered(request: RankRequest, most: number): number[] | undefined;
  /**
   * In the order of the records; `dim`: of a vector. `meansFor` gives the averages to look through, all by default, and is
   * told which pictures are to be among them anyway.
   */
  ranked(request: RankRequest, dim: number, meansFor?: MeansFor): Ranked[];
}
export type MeansFor = (more: readonly number[]) => MeanTable;

export function sqlRanking({ all, count, loadedMeans, records }: RankingTables): SqlRanking {
  const wordScores = wordRanking({ all, count, records });

  /** Undefined: no filter. */
  function conditionOf({ filter }: RankRequest) {
    const conditions = filter === undefined ? [] : conditionsOf(filter);
    if (conditions.length === 0) return undefined;
    return {
      sql: conditions.map((each) => each.sql).join(" AND "),
      values: conditions.flatMap(({ values }) => values),
    };
  }
  function allowedRecords(request: RankRequest): Set<number> | undefined {
    const condition = conditionOf(request);
    if (condition === undefined) return undefined;
    const rows = all<{ seq: number }>(
      `SELECT seq FROM records WHERE ${condition.sql}`,
      ...condition.values,
    );
    return new Set(rows.map(({ seq }) => seq));
  }
  function filtered(request: RankRequest, most: number): number[] | undefined {
    const condition = conditionOf(request);
    if (condition === undefined) return undefined;
    return all<{ picture: number }>(
      `SELECT DISTINCT picture FROM records WHERE ${condition.sql} LIMIT ?`,
      ...condition.values,
      most,
    ).map(({ picture }) => picture);
  }

  function unknownFields({ filter }: RankRequest): string[] {
    return Object.keys(filter?.metadata ?? {}).filter(
      (name) => count("SELECT EXISTS (SELECT 1 FROM attributes WHERE name = ?) AS n", name) === 0,
    );
  }

  const inList = (keys: Iterable<number>): string => JSON.stringify([...keys]);
  const listed = "IN (SELECT value FROM json_each(?))";

  interface VectorScores {
    text_mean?: number;
    image_mean?: number;
    itc?: number;
    image?: number;
  }

  function vectorScores(
    request: RankRequest,
    dim: number,
    table: MeanTable,
    keys: readonly number[] | undefined,
    more: readonly number[],
  ): Map<number, VectorScores> {
    const { text, image, candidates, maxSimilarity: isExact } = request;
    const allowed = keys === undefined ? undefined : new Set(keys);
    const scores = new Map<number, VectorScores>();
    const note = (key: number, score: VectorScores): void => {
      scores.set(key, { ...scores.get(key), ...score });
    };
    const ways = [
      ...(text === undefined ? [] : [{ name: "text_mean" as const, query: text }]),
      ...(image === undefined
        ? []
        : [{ name: "image_mean" as const, query: averaged(image, dim) }]),
    ];
    for (const key of more) note(key, {});
    for (const { name, query } of ways) {
      for (const { key, score } of table.nearest(query, candidates, allowed)) {
        note(key, { [name]: score });
      }
    }
    // What another way let through gets the scores of every way, so that it can be compared.
    const through = new Set(scores.keys());
    for (const { name, query } of ways) {
      for (const { key, score } of table.scores(query, through)) {
        note(key, { [name]: score });
      }
    }
    if (!isExact) return scores;
    for (const { key, vectors } of vectorsFor(through, dim)) {
      if (text !== undefined) note(key, { itc: maxSimilarity(text, vectors) });
      if (image !== undefined) note(key, { image: pictureSimilarity(image, vectors) });
    }
    return scores;
  }

  const vectorsFor = (keys: Iterable<number>, dim: number) =>
    all<{ key: number; scales: unknown; codes: unknown }>(
      `SELECT key, scales, codes FROM vectors WHERE key ${listed}`,
      inList(keys),
    ).map(({ key, ...blobs }): { key: number; vectors: CodedVectors } => ({
      key,
      vectors: vectorsOf(blobs, dim),
    }));

  const picturesOf = (records: Iterable<number>): number[] =>
    all<{ picture: number }>(
      `SELECT DISTINCT picture FROM records WHERE seq ${listed}`,
      inList(records),
    ).map(({ picture }) => picture);

  return {
    unknownFields,
    filtered,
    ranked(request, dim, meansFor = () => loadedMeans(dim)) {
      const allowed = allowedRecords(request);
      const { scores: words, told } = wordScores(request.words, allowed, request.candidates);
      const more = picturesOf(words.keys());
      const vectors = vectorScores(
        request,
        dim,
        meansFor(more),
        allowed === undefined ? undefined : picturesOf(allowed),
        more,
      );
      const rows = all<Pick<RecordRow, "seq" | "id" | "picture" | "image_id">>(
        `SELECT r.seq, r.id, r.picture, p.image_id FROM records r JOIN pictures p ON p.key = r.picture
         WHERE r.picture ${listed} ORDER BY r.seq`,
        inList(vectors.keys()),
      );
      return rows
        .filter(({ seq }) => allowed === undefined || allowed.has(seq))
        .map(({ seq, id, picture, image_id: imageId }): Ranked => {
          const fullText = words.get(seq);
          return {
            id,
            imageId,
            told: told.has(seq),
            scores: {
              ...vectors.get(picture),
              ...(fullText === undefined ? {} : { full_text: fullText }),
            },
          };
        });
    },
  };
}
