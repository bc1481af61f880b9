// What door and engine say to each other over the IPC channel. Both ends are this same version of this
// same program, so types are enough; pixels and ids travel by structured clone.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import type { CatalogModel, InferResult } from "@blip2-edge/shared/wire/protocol";
import type { ProviderName } from "../runtime/providers.ts";
import type { TextMatch } from "../runtime/retrieval-model.ts";
import type { FloatTensor } from "../tensor/tensor.ts";

export interface EngineSettings {
  /** Artifact folders; each model has a name of its own. */
  readonly modelDirs: readonly string[];
  /** Threads of one operator; 0 takes the physical cores. */
  readonly threads: number;
  readonly provider: ProviderName;
  readonly featureStoreMaxBytes: number;
}

export type Priority = "interactive" | "bulk";

/** What every job says. */
export interface JobFields {
  readonly model: string;
  readonly modelRevision: string;
  /** Interactive goes first. */
  readonly priority: Priority;
  /** Milliseconds from when the job is sent to the engine until nobody waits for it any more. */
  readonly deadlineMs: number;
}
/** Which image a job is about. */
export interface ImageFields {
  /** Opaque tag of the partition that the image belongs to. */
  readonly partition: string;
  readonly imageId: string;
  /** Canonical RGB, u8 [S, S, 3]; absent when what the job needs should still be held. */
  readonly pixels?: Uint8Array;
}
/** One image and the texts to generate over it. */
export interface GenerateJob extends JobFields, ImageFields {
  readonly kind: "generate";
  readonly texts: readonly (string | null)[];
  readonly generation: Generation;
  /** Whether the text is to be told as it is written. */
  readonly stream: boolean;
}
/** One image and the texts to compare with it. */
export interface MatchJob extends JobFields, ImageFields {
  readonly kind: "match";
  readonly texts: readonly string[];
  readonly scores: readonly ("itm" | "itc")[];
}
interface EmbedFields extends JobFields {
  readonly features: "projected" | "query";
}
export interface EmbedImageJob extends EmbedFields, ImageFields {
  readonly kind: "embed_image";
}
export interface EmbedTextsJob extends EmbedFields {
  readonly kind: "embed_texts";
  readonly texts: readonly string[];
}
export type ImageJob = GenerateJob | MatchJob | EmbedImageJob;
export type Job = ImageJob | EmbedTextsJob;

/** How the feature store changed, so that the door can tell what is held without asking. */
export interface StoreChange {
  readonly added?: string;
  readonly removed: readonly string[];
  readonly bytes: number;
}

/** Where the time of a job goes, in the order in which it goes there; `wait` is all that it stood in line in the engine. */
export type Stage = "wait" | "vision" | "prefill" | "decode" | "match" | "embed";
interface OutcomeFields {
  /** Vision passes that the job cost: 0 when the image was still held, or when there is none. */
  readonly visionPasses: number;
  /** Milliseconds. */
  readonly stages: Readonly<Partial<Record<Stage, number>>>;
}
export type Outcome = OutcomeFields &
  (
    | {
        readonly kind: "generate";
        readonly results: readonly InferResult[];
        /** From the job's arrival in the engine to its first token. */
        readonly firstTokenMs: number;
      }
    | { readonly kind: "match"; readonly matches: readonly TextMatch[] }
    | { readonly kind: "embed"; readonly embeddings: readonly FloatTensor[] }
  );

/** What the engine has measured of its own graphs; what it has not yet run is absent. */
export interface EngineCosts {
  /** One vision pass. */
  readonly visionMs?: number;
  readonly prefillMsPerToken?: number;
  /** One step of the whole batch, however many rows it has. */
  readonly decodeMsPerStep?: number;
}
/** What the engine says of its load, for admission and metrics: plain data. */
export interface EngineStats {
  /** Estimated milliseconds of the work that it has been given and has not done. */
  readonly queuedMs: number;
  readonly costs: EngineCosts;
  /** Rows that one decode step carries at most. */
  readonly batchRows: number;
}

/** An AppError on its way through the channel. */
export interface SentError {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly internal?: string;
}

export type ToEngine =
  | { readonly type: "start"; readonly settings: EngineSettings }
  | { readonly type: "run"; readonly id: number; readonly job: Job }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "stop" };

export type FromEngine =
  | {
      readonly type: "ready";
      readonly models: readonly CatalogModel[];
      /** By model revision: equal where models have the same vision tower. */
      readonly visionKeys: Readonly<Record<string, string>>;
    }
  | { readonly type: "failed"; readonly error: SentError }
  | { readonly type: "result"; readonly id: number; readonly outcome: Outcome }
  | { readonly type: "error"; readonly id: number; readonly error: SentError }
  | { readonly type: "vision_pass" }
  | { readonly type: "stats"; readonly stats: EngineStats }
  /** More of one text of a streamed job: whole characters only, in order. */
  | { readonly type: "text"; readonly id: number; readonly index: number; readonly text: string }
  | { readonly type: "store"; readonly change: StoreChange };

/** Under which the features that a model made of one image are held. Partition first: nobody finds what is not theirs. */
export const featureKey = ({ partition, imageId }: ImageFields, modelRevision: string): string =>
  `${partition}/${imageId}/${modelRevision}`;

/** Under which the vision tower's output is held, for every model that has this tower. */
export const sightKey = ({ partition, imageId }: ImageFields, visionKey: string): string =>
  `${partition}/${imageId}/vision/${visionKey}`;

/** What may be held of the job's image so that it needs no pixels: any one of these is enough. */
export function sourceKeys(job: ImageJob, visionKey: string): readonly string[] {
  const sight = sightKey(job, visionKey);
  const needsSight =
    (job.kind === "match" && job.scores.includes("itm")) ||
    (job.kind === "embed_image" && job.features === "query");
  return needsSight ? [sight] : [featureKey(job, job.modelRevision), sight];
}

export function toSentError(error: unknown): SentError {
  if (error instanceof AppError) {
    const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
    const internal = `${error.internal ?? ""}${cause}`;
    return {
      code: error.code,
      detail: error.detail,
      ...(internal === "" ? {} : { internal }),
    };
  }
  const internal = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "internal", detail: "", internal };
}

export const fromSentError = (error: SentError): AppError =>
  new AppError(
    error.code,
    error.detail,
    error.internal === undefined ? {} : { internal: error.internal },
  );
