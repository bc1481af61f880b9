// Answers with server-sent events while a task is at work. Until the task has said a text nothing is sent, and
// its failure is an ordinary problem with its status; after that it is the last event. The stream holds what
// the client has not read: a task says some hundred tokens at most, so that needs no bound of its own.
import { toProblem } from "@blip2-edge/shared/problem";
import { eventStreamType, writeServerSentEvent } from "@blip2-edge/shared/sse";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { Context } from "hono";
import { cacheStatus } from "../cache/answer-headers.ts";
import type { Env } from "../env.ts";
import type { Answered } from "../tasks/answered.ts";
import type { Listener } from "../tasks/listener.ts";

/** How a stream is written down, in the words of one API; each gives whole events. */
export interface StreamWriter<Body> {
  text(index: number, text: string, model: CatalogModel): string;
  result(answered: Answered<Body>): string;
  problem(error: unknown): string;
}

/** Those of POST /v1/caption and /v1/vqa (shared/src/contracts/stream.ts). */
export const eventsOfAnswer: StreamWriter<unknown> = {
  text: (index, text) => writeServerSentEvent("text", { index, text }),
  result: ({ body }) => writeServerSentEvent("result", body),
  problem: (error) => writeServerSentEvent("problem", toProblem(error)),
};

/** A comment. The platform sees that a client has left when it is written to, and tells the request's signal. */
const beat = ": \n\n";
const beatMs = 1000;

/** Throws what `work` throws before it said anything. */
export async function respondStreaming<Body>(
  c: Context<Env>,
  writer: StreamWriter<Body>,
  work: (listener: Listener) => Promise<Answered<Body>>,
): Promise<Response> {
  const encoder = new TextEncoder();
  const begun = Promise.withResolvers<void>();
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
  let quiet = true;
  const send = (events: string): void => {
    quiet = false;
    client?.enqueue(encoder.encode(events));
  };
  const finish = async (): Promise<void> => {
    try {
      const answered = await work({
        says(index, text, model) {
          send(writer.text(index, text, model));
          begun.resolve();
        },
      });
      send(writer.result(answered));
    } catch (error) {
      send(writer.problem(error));
      throw error;
    } finally {
      client?.close();
    }
  };
  const ended = finish();
  await Promise.race([begun.promise, ended]);
  const { results: outcome } = c.get("context").served;
  const heart = setInterval(() => {
    if (quiet) send(beat);
    quiet = true;
  }, beatMs);
  c.get("lastsUntil")(ended.finally(() => clearInterval(heart)));
  return new Response(body, {
    headers: {
      "content-type": eventStreamType,
      "cache-control": "no-store",
      ...(outcome === undefined ? {} : { "cache-status": cacheStatus(outcome) }),
      // Proxies in between are not to collect events.
      "x-accel-buffering": "no",
      vary: "authorization",
    },
  });
}
