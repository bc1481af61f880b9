// Gives the edge a token for a key. The token travels once, to an address that is the operator's own choice; nothing of
// it, nor of the key, is in a message or in the log.
import { AppError, fromProblem } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import {
  joinPath,
  joinRequestSchema,
  type JoinResponse,
  joinResponseSchema,
} from "@blip2-edge/shared/wire/join";
import type { Log } from "../observe/log.ts";

export interface JoinOptions {
  readonly edgeUrl: string;
  readonly token: string;
  /** A number that this box alone knows: with it the same token gives the same key again. */
  readonly proof: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly timeoutMs?: number;
  readonly fetch?: typeof globalThis.fetch;
}

const maxAnswerBytes = 65_536;

/** Errors: `usage` for a text that is no token, the edge's own refusal, `api_unreachable`, `api_unexpected`. */
export async function joinEdge(options: JoinOptions): Promise<JoinResponse> {
  const { edgeUrl, token, proof, log, timeoutMs = 15_000, fetch = globalThis.fetch } = options;
  const request = joinRequestSchema.safeParse({ token, proof });
  if (!request.success) {
    throw new AppError("usage", "--token is not one that `blip2-edge nodes token` made.");
  }
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]);
  let text: string;
  let ok: boolean;
  try {
    const response = await fetch(new URL(joinPath, edgeUrl), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request.data),
      redirect: "error",
      signal,
    });
    ({ ok } = response);
    const read = await readBounded(response.body, maxAnswerBytes, signal);
    text = read.ok ? new TextDecoder().decode(read.bytes) : "";
  } catch (cause) {
    options.signal.throwIfAborted();
    throw new AppError(
      "api_unreachable",
      `The Worker at ${edgeUrl} cannot be reached. Is the address right? The same token may be used again.`,
      { cause },
    );
  }
  const body = jsonOf(text);
  if (!ok) throw fromProblem(body) ?? notUnderstood(edgeUrl);
  const answer = joinResponseSchema.safeParse(body);
  if (!answer.success) throw notUnderstood(edgeUrl);
  const { name, origin, key } = answer.data;
  log.info("joined", { edge: edgeUrl, node: name, origin, key_ids: [key.id] });
  return answer.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const notUnderstood = (edgeUrl: string): AppError =>
  new AppError(
    "api_unexpected",
    `What answers at ${edgeUrl} is no blip2-edge that lets nodes join.`,
  );
