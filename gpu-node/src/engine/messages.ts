// What door and engine say to each other over the IPC channel. Both ends are this same version of this
// same program, so types are enough; pixels and ids travel by structured clone.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import type { CatalogModel, InferResult } from "@blip2-edge/shared/wire/protocol";

export interface EngineSettings {
  /** Artifact folders; each model has a name of its own. */
  readonly modelDirs: readonly string[];
  /** Threads of one operator; 0 takes the physical cores. */
  readonly threads: number;
  readonly provider: string;
  readonly featureStoreMaxBytes: number;
}

/** One image and the texts to generate over it. */
export interface InferJob {
  readonly model: string;
  readonly modelRevision: string;
  /** Opaque tag of the partition that the image belongs to. */
  readonly partition: string;
  readonly imageId: string;
  /** Canonical RGB, u8 [S, S, 3]; absent when the features should still be held. */
  readonly pixels?: Uint8Array;
  readonly texts: readonly (string | null)[];
  readonly generation: Generation;
}

/** How the feature store changed, so that the door can tell what is held without asking. */
export interface StoreChange {
  readonly added?: string;
  readonly removed: readonly string[];
  readonly bytes: number;
}

export interface InferOutcome {
  readonly results: readonly InferResult[];
  readonly visionPasses: number;
  readonly visionMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
}

/** An AppError on its way through the channel. */
export interface SentError {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly internal?: string;
}

export type ToEngine =
  | { readonly type: "start"; readonly settings: EngineSettings }
  | { readonly type: "infer"; readonly id: number; readonly job: InferJob }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "stop" };

export type FromEngine =
  | { readonly type: "ready"; readonly models: readonly CatalogModel[] }
  | { readonly type: "failed"; readonly error: SentError }
  | { readonly type: "result"; readonly id: number; readonly outcome: InferOutcome }
  | { readonly type: "error"; readonly id: number; readonly error: SentError }
  | { readonly type: "store"; readonly change: StoreChange };

/** Under which the features of one image are held. Partition first: nobody finds what is not theirs. */
export const featureKey = (
  job: Pick<InferJob, "partition" | "imageId" | "modelRevision">,
): string => `${job.partition}/${job.imageId}/${job.modelRevision}`;

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
