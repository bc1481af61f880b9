// Answers with server-sent events while a task is at work. Until the task has said a text nothing is sent, and
// its failure is an ordinary problem with its status; after that it is the last event. The stream holds what
// the client has not read: a task says some hundred tokens at most, so that needs no bound of its own.
import { toProblem } from "@blip2-edge/shared/problem";
import { eventStreamType, writeServerSentEvent } from "@blip2-edge/shared/sse";
import { cacheStatus, type CacheOutcome } from "../cache/answer-headers.ts";
import type { RequestContext } from "../context.ts";
import type { Answered } from "../tasks/answered.ts";
import type { Listener } from "../tasks/listener.ts";

/** How a stream is written down, in the words of one API; each gives whole events, or nothing. */
export interface StreamWriter<Body> {
  text(index: number, text: string): string;
  result(answered: Answered<Body>): string;
  problem(error: unknown): string;
}

/** Those of POST /v1/caption and /v1/vqa (shared/src/contracts/stream.ts). */
export const eventsOfAnswer: StreamWriter<unknown> = {
  text: (index, text) => writeServerSentEvent("text", { index, text }),
  result: ({ body }) => writeServerSentEvent("result", body),
  problem: (error) => writeServerSentEvent("problem", toProblem(error)),
};

/** Throws what `work` throws before it said anything. */
export async function respondStreaming<Body>(
  { lastsUntil }: Pick<RequestContext, "lastsUntil">,
  writer: StreamWriter<Body>,
  work: (listener: Listener) => Promise<Answered<Body>>,
): Promise<Response> {
  const encoder = new TextEncoder();
  const begun = Promise.withResolvers<CacheOutcome>();
  let client: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      client = controller;
    },
    cancel() {
      // The request's signal ends the work; there is only nobody left to write to.
      client = undefined;
    },
  });
  const send = (events: string): void => {
    if (events !== "") client?.enqueue(encoder.encode(events));
  };
  const done = work({
    says(index, text, outcome) {
      send(writer.text(index, text));
      begun.resolve(outcome);
    },
  });
  const ended = done.then(
    (answered) => {
      send(writer.result(answered));
      client?.close();
      begun.resolve(answered.outcome);
    },
    (error: unknown) => {
      send(writer.problem(error));
      client?.close();
      throw error;
    },
  );
  const outcome = await Promise.race([begun.promise, ended.then(() => begun.promise)]);
  lastsUntil(ended);
  return new Response(body, {
    headers: {
      "content-type": eventStreamType,
      "cache-control": "no-store",
      "cache-status": cacheStatus(outcome),
      // Proxies in between are not to collect events.
      "x-accel-buffering": "no",
      vary: "authorization",
    },
  });
}
