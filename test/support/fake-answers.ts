// What the scripted node says: no model runs, but every number depends on what it was given, so that a
// mixed-up picture, text, score or kind of features shows.
import { createHash } from "node:crypto";
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { writeEmbedding } from "@blip2-edge/shared/wire/embedding";
import type {
  EmbedRequest,
  EmbedResponse,
  FeatureName,
  InferRequest,
  InferResponse,
  MatchRequest,
  MatchResponse,
  ScoreName,
} from "@blip2-edge/shared/wire/protocol";

/** A number in 0..1 with all the bits a float32 has, that hangs on every one of `parts`. */
function drawn(...parts: readonly (string | number)[]): number {
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest();
  return Math.fround(digest.readUInt32LE(0) / 2 ** 32);
}

/** The picture is known by the digest of its pixels. */
export const fakeScore = (digest: string, text: string, score: ScoreName): number =>
  score === "itm" ? drawn(digest, text, score) : drawn(digest, text, score) - 0.5;

export const fakeQueries = 4;
/** Length of one vector. */
export const fakeDim = { projected: 8, query: 6 } as const;

/** Row by row. `about` is a picture's digest or a text. */
export function fakeVectors(about: string, features: FeatureName, rows: number): Float32Array {
  return Float32Array.from(
    { length: rows * fakeDim[features] },
    (_, index) => 2 * drawn(about, features, index) - 1,
  );
}

export const fakeTokens = (text: string): number => text.split(/\s+/).length + 2;

export function fakeInference(request: InferRequest, digest: string): InferResponse["results"] {
  const generation = resolveGeneration(request.generation);
  return request.texts.map((text) => {
    const said = (rank: number) => ({
      text: `${text === null ? `picture ${digest}` : `${text} ${digest}`}${rank === 0 ? "" : ` ${rank}`}`,
      token_ids: [1, 2, 3].slice(0, generation.max_new_tokens),
      finish_reason: "stop" as const,
      log_prob: -0.25 * (rank + 1),
    });
    const count = generation.num_return_sequences;
    return {
      ...said(0),
      usage: { image_tokens: 32, prompt_tokens: 1, completion_tokens: 3 * count },
      ...(count === 1 ? {} : { sequences: Array.from({ length: count }, (_, rank) => said(rank)) }),
      ...(generation.min_length > 0 ? { notes: ["the node's note"] } : {}),
    };
  });
}

export const fakeMatches = (
  { texts, scores }: MatchRequest,
  digest: string,
): MatchResponse["matches"] =>
  texts.map((text) =>
    Object.fromEntries(scores.map((score) => [score, fakeScore(digest, text, score)])),
  );

/** `digest` is that of the picture, if the request is about one. */
export function fakeEmbeddings(request: EmbedRequest, digest: string): EmbedResponse["embeddings"] {
  const { features } = request;
  const dim = fakeDim[features];
  if (!("texts" in request)) {
    return [writeEmbedding([fakeQueries, dim], fakeVectors(digest, features, fakeQueries))];
  }
  return request.texts.map((text) => {
    const rows = features === "projected" ? 1 : fakeTokens(text);
    const dims = features === "projected" ? [dim] : [rows, dim];
    return writeEmbedding(dims, fakeVectors(text, features, rows));
  });
}
