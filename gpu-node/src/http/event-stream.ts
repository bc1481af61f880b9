// The body of a streamed answer. Nothing is kept that the client could have: while it does not read, what is
// written of one text grows into one event, so that a slow reader costs no more than the texts themselves.
import { AppError } from "@blip2-edge/shared/problem";
import { eventStreamType } from "@blip2-edge/shared/sse";
import { heartbeat, type InferEvent, writeEvent } from "@blip2-edge/shared/wire/events";

export interface EventStream {
  readonly body: ReadableStream<Uint8Array>;
  text(index: number, text: string): void;
  /** Ends the stream once the client has all of it. Resolves when it has, or is gone. */
  end(last: InferEvent): Promise<void>;
}

export interface EventStreamOptions {
  /** Called with `canceled` when the client has left or reads no more. */
  readonly onGone: (error: AppError) => void;
  readonly heartbeatMs?: number;
  /** A client that takes nothing of what is there for so long is taken for gone. */
  readonly stallMs?: number;
}

export const eventStreamHeaders = {
  "content-type": eventStreamType,
  "cache-control": "no-store",
  /** Proxies in between are not to collect events. */
  "x-accel-buffering": "no",
} as const;

export function createEventStream(options: EventStreamOptions): EventStream {
  const { onGone, heartbeatMs = 15_000, stallMs = 30_000 } = options;
  const encoder = new TextEncoder();
  const ended = Promise.withResolvers<void>();
  /** By text, in the order in which they have something to say. */
  const unread = new Map<number, string>();
  let last: InferEvent | undefined;
  let stallTimer: NodeJS.Timeout | undefined;
  let heart: NodeJS.Timeout | undefined;
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  const close = (): void => {
    clearInterval(heart);
    clearTimeout(stallTimer);
    controller = undefined;
    ended.resolve();
  };
  const leave = (detail: string): AppError => {
    const error = new AppError("canceled", detail);
    close();
    onGone(error);
    return error;
  };
  const write = (chunk: string): void => controller?.enqueue(encoder.encode(chunk));

  /** Hands over what the client has room for. */
  const flush = (): void => {
    for (const [index, text] of unread) {
      if ((controller?.desiredSize ?? 0) <= 0) break;
      unread.delete(index);
      write(writeEvent({ event: "text", data: { index, text } }));
    }
    if (unread.size === 0 && last !== undefined && (controller?.desiredSize ?? 0) > 0) {
      write(writeEvent(last));
      controller?.close();
      close();
    }
    if (controller !== undefined && (unread.size > 0 || last !== undefined)) {
      stallTimer ??= setTimeout(() => {
        const stalled = controller;
        stalled?.error(leave("The caller reads no more."));
      }, stallMs);
    }
  };

  const body = new ReadableStream<Uint8Array>({
    start(opened) {
      controller = opened;
      heart = setInterval(() => {
        if (unread.size === 0 && (controller?.desiredSize ?? 0) > 0) write(heartbeat);
      }, heartbeatMs);
    },
    pull() {
      clearTimeout(stallTimer);
      stallTimer = undefined;
      flush();
    },
    cancel: () => void leave("The caller went away."),
  });

  return {
    body,
    text(index, text) {
      if (controller === undefined || last !== undefined || text === "") return;
      unread.set(index, (unread.get(index) ?? "") + text);
      flush();
    },
    end(event) {
      last ??= event;
      if (controller !== undefined) flush();
      return ended.promise;
    },
  };
}
