// What a namespace's index can be asked, whatever keeps it: plain data in, plain data out, so that it may be
// an object elsewhere. What was put is found by the next question. No tenant is named in it: each has its own.
import type { CandidateStore } from "@blip2-edge/shared/contracts/candidates";
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { AutoTag, ImageUpdate, MetadataValue } from "@blip2-edge/shared/contracts/images";
import type { SearchFilter, SearchScores } from "@blip2-edge/shared/contracts/search";

export interface IndexRecord {
  readonly id: string;
  readonly imageId: ImageId;
  readonly exact: boolean;
  readonly source: string | null;
  readonly title: string | null;
  readonly text: string | null;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, MetadataValue>>;
  readonly caption: string | null;
  readonly autoTags: readonly AutoTag[];
}

/** What is kept of a picture for people to look at, and since when, Unix milliseconds; null: it is not. */
export interface KeptSince {
  readonly thumbnailAt: number | null;
  /** The file as it was sent. */
  readonly originalAt: number | null;
}

export interface StoredRecord extends IndexRecord, KeptSince {
  /** Unix milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
  /** The oldest other record with the same picture. */
  readonly duplicateOf: string | null;
}

/** What made the vectors; all of an index are of one. */
export interface IndexedBy {
  readonly model: string;
  readonly modelRevision: string;
}

export interface PutRequest {
  readonly record: IndexRecord;
  readonly by: IndexedBy;
  /** Row by row, each of length 1. */
  readonly vectors: Float32Array;
  readonly dim: number;
  readonly now: number;
  /** Left out, and what of it is null: as it was. */
  readonly kept?: KeptSince;
}

export type PutOutcome =
  | { readonly kind: "put"; readonly record: StoredRecord; readonly freed: ImageId | null }
  /** `holds`: another record of it has the picture that was to be put. */
  | { readonly kind: "other_model"; readonly by: IndexedBy; readonly holds: boolean }
  | { readonly kind: "full"; readonly maxRecords: number; readonly holds: boolean }
  /** Too much waits for the store of candidates already. */
  | { readonly kind: "behind"; readonly holds: boolean };

export interface IndexInfo {
  readonly records: number;
  readonly pictures: number;
  /** Null while it is empty. */
  readonly by: IndexedBy | null;
  readonly keepOriginals: boolean;
}

/** What a namespace wants; gone with its last record when it is cleared. */
export interface IndexSettings {
  readonly keepOriginals: boolean;
}

export interface RankRequest {
  readonly by: IndexedBy;
  /** Of length 1. */
  readonly text?: Float32Array;
  /** Row by row, each of length 1. */
  readonly image?: Float32Array;
  /** The query as it was written, for full text. */
  readonly words?: string;
  readonly filter?: SearchFilter;
  /** Pictures that the averaged vectors let through, of each way of asking. */
  readonly candidates: number;
  readonly maxSimilarity: boolean;
}

export interface Ranked {
  readonly id: string;
  readonly imageId: ImageId;
  readonly scores: Omit<SearchScores, "itm">;
  /** Every word of the query stands in what people wrote of it. */
  readonly told: boolean;
}

export type RankOutcome =
  | { readonly kind: "ranked"; readonly records: readonly Ranked[] }
  | { readonly kind: "unknown_fields"; readonly fields: readonly string[] }
  | { readonly kind: "other_model"; readonly by: IndexedBy }
  /** The store of candidates does not answer, and it has too many to go without. */
  | { readonly kind: "unavailable" };

export interface ImageIndex {
  describe(): Promise<IndexInfo>;
  /** Without originals it knows of none from then on. */
  configure(settings: IndexSettings): Promise<void>;
  put(request: PutRequest): Promise<PutOutcome>;
  /** Those that there are, in the order of the ids. */
  read(ids: readonly string[]): Promise<StoredRecord[]>;
  /** By id, after one. */
  list(after: string | null, limit: number): Promise<StoredRecord[]>;
  /** Those that came last, the last one first; a record that was put again keeps its place. */
  newest(limit: number): Promise<StoredRecord[]>;
  update(id: string, changes: ImageUpdate, now: number): Promise<StoredRecord | null>;
  /** `freed`: no other record has the picture. */
  remove(id: string): Promise<{ readonly imageId: ImageId; readonly freed: boolean } | null>;
  /** Removes so many records at most. */
  clear(most: number): Promise<{
    readonly removed: number;
    readonly left: number;
    readonly freed: readonly ImageId[];
  }>;
  /** In no order; every record of every picture that a stage let through. */
  rank(request: RankRequest): Promise<RankOutcome>;
}

/** Where the averaged vectors are compared, and how far a move between the two stores is. */
export interface CandidatesInfo {
  readonly store: CandidateStore;
  /** Another than `store` while it moves. */
  readonly target: CandidateStore;
  readonly waiting: number;
  readonly leaving: number;
  readonly fault: string | null;
}

export type MoveOutcome =
  | { readonly kind: "moving"; readonly info: CandidatesInfo }
  | { readonly kind: "not_bound" }
  | { readonly kind: "unavailable" }
  | { readonly kind: "other_dimensions"; readonly dimensions: number; readonly dim: number }
  | { readonly kind: "too_many"; readonly most: number };

/** An index whose candidates may move. Searches are right at every moment of a move. */
export interface MovableIndex extends ImageIndex {
  candidates(): Promise<CandidatesInfo>;
  moveCandidates(to: CandidateStore): Promise<MoveOutcome>;
}

/** The binding of the Durable Object's class (namespace-index.ts). */
export interface ImageIndexes {
  getByName(name: string): MovableIndex;
}

/** Neither name has a slash, so no two pairs share an index. */
export const indexName = (tenant: string, namespace: string): string => `${tenant}/${namespace}`;
