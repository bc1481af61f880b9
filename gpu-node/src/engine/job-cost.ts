// What a job will cost, from its shape and from what the engine has measured. An estimate for admission,
// never a promise; where it must err before anything is measured it errs low, so that a guess refuses nobody.
import type { EngineStats, Job } from "./messages.ts";

/** What of a job costs time, counted. */
export interface JobShape {
  /** 1 when the image must be looked at, 0 when it is held or there is none. */
  readonly visionPasses: 0 | 1;
  /** Tokens of all texts with their image, as the language model reads them. */
  readonly prefillTokens: number;
  /** Rows of the decode batch: texts x beams. */
  readonly rows: number;
  /** Decode steps at most. */
  readonly steps: number;
}

export interface JobCost {
  /** Time of the machine: the job's share of full batches. What a backlog is the sum of. */
  readonly workMs: number;
  /** From its start to its answer if nothing else were there. */
  readonly aloneMs: number;
}

/** Query tokens that stand for an image before its text. */
const imageTokens = 32;
/** The tokenizers are in the engine; English has about four characters a token, other languages fewer. */
const charactersPerToken = 3;
/** The Q-Former, which reads the texts that are compared, is so much smaller than the language model. */
const qFormerShare = 1 / 16;
const maxSteps = 256;

/** Of a small model or a fast card. */
const firstGuess = {
  visionMs: 50,
  prefillMsPerToken: 0.25,
  decodeMsPerStep: 5,
  batchRows: 8,
} as const;

const tokensOf = (text: string | null): number =>
  Math.ceil((text ?? "").length / charactersPerToken) + 1;

/** `held`: whether the engine holds what the job needs of its image. */
export function shapeOf(job: Job, held: boolean): JobShape {
  const texts = "texts" in job ? job.texts : [];
  const textTokens = texts.reduce((sum, text) => sum + tokensOf(text), 0);
  const visionPasses = held || job.kind === "embed_texts" ? 0 : 1;
  if (job.kind === "generate") {
    const { num_beams: beams, do_sample, num_return_sequences, max_length } = job.generation;
    return {
      visionPasses,
      prefillTokens: textTokens + texts.length * imageTokens,
      rows: texts.length * beams * (do_sample ? num_return_sequences : 1),
      steps: Math.min(max_length ?? job.generation.max_new_tokens, maxSteps),
    };
  }
  const readTokens = textTokens + (job.kind === "match" ? texts.length * imageTokens : 0);
  return { visionPasses, prefillTokens: readTokens * qFormerShare, rows: 1, steps: 0 };
}

export function costOf(shape: JobShape, stats: EngineStats | undefined): JobCost {
  const { visionMs, prefillMsPerToken, decodeMsPerStep } = { ...firstGuess, ...stats?.costs };
  const rowsPerStep = batchRowsOf(stats);
  const beforeMs = shape.visionPasses * visionMs + shape.prefillTokens * prefillMsPerToken;
  const stepsMs = shape.steps * decodeMsPerStep;
  return {
    workMs: beforeMs + (stepsMs * shape.rows) / rowsPerStep,
    aloneMs: beforeMs + stepsMs * Math.ceil(shape.rows / rowsPerStep),
  };
}

export const batchRowsOf = (stats: EngineStats | undefined): number =>
  Math.max(1, stats?.batchRows ?? firstGuess.batchRows);
