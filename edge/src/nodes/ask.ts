// Asking the nodes: one that should hold the picture's features; when it fails, another, once and within
// the budget; when it takes longer than most, another as well, and the first answer is taken. So at most two
// nodes hear of a call. Once a text of a streamed answer was heard there is no other. JSON alone goes to a
// node that is believed to hold the picture, pixels with it to others.
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import type { NodeAsked, NodeCall, NodeTold } from "./calls.ts";
import { realClock, type Clock } from "./clock.ts";
import {
  ConnectionBroke,
  unavailable,
  type Exchange,
  type NodeRequest,
  type OnText,
  type TracedExchange,
} from "./exchange.ts";
import type { Fleet, Flight, Wanted } from "./fleet.ts";
import type { HeldImages } from "./held-images.ts";
import { latencyKind } from "./latency-kind.ts";
import type { NodeAddress } from "./node-exchanges.ts";
import { outcomeOf } from "./outcome.ts";

export interface Question<Asked extends NodeAsked> {
  /** The request with the milliseconds that are left, made anew for each attempt. */
  readonly request: (deadlineMs: number) => Asked;
  readonly remainingMs: () => number;
  /** RGB, size * size * 3 bytes, when they were just decoded. */
  readonly pixels?: Uint8Array | undefined;
  /** The stored pixels, when the node turns out to lack them. */
  readonly loadPixels?: () => Promise<Uint8Array | undefined>;
  /** Nothing is to be remembered of this, not even that a node now holds the picture. */
  readonly keepsNothing?: boolean;
  /** Hears the texts of a request with `stream: true`, if the node can stream. */
  readonly onText?: OnText | undefined;
  /** Times each exchange and gives it its place in the trace. */
  readonly timed?: Timed;
}

export type Timed = <Result>(work: (traced: TracedExchange) => Promise<Result>) => Promise<Result>;

export interface Reply<Told> {
  readonly answer: Told;
  /** Requests that went out for it, those included that asked a node again with pixels. */
  readonly attempts: number;
  readonly sentPixels: boolean;
  /** The node whose answer it is. */
  readonly node: string;
  /** Why a second node was asked as well; undefined when none was. */
  readonly second: "retry" | "hedge" | undefined;
}

/**
 * Throws image_pixels_gone, node_unavailable, node_protocol, overloaded, revision_mismatch (the catalogue is
 * to be asked again) and what the node may say to the public.
 */
export type AskNode = <Asked extends NodeAsked, Told extends NodeTold>(
  call: NodeCall<Asked, Told>,
  question: Question<Asked>,
  signal: AbortSignal,
) => Promise<Reply<Told>>;

export interface AskOptions {
  readonly fleet: Fleet;
  readonly exchangeWith: (node: NodeAddress) => Exchange;
  readonly held: HeldImages;
  /** Pause before the same node is asked again, when there is no other. */
  readonly retryWaitMs: number;
  /** How long a call waits for a place at a node when all are taken, and how many calls may. */
  readonly queueMs: number;
  readonly maxWaiting?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** One node that was asked. */
interface Attempt {
  readonly url: string;
  readonly abort: (reason: Error) => void;
  readonly signal: AbortSignal;
  /** Its latest request: a node that lacks the pixels gets a second one. */
  flight: Flight;
}
type Settled<Told> = { readonly attempt: Attempt } & (
  | { readonly ok: true; readonly told: Told; readonly sentPixels: boolean }
  | { readonly ok: false; readonly error: unknown }
);

/** Codes of a failure that another node may not share. */
const elsewhere: ReadonlySet<ProblemCode> = new Set([
  "node_unavailable",
  "node_protocol",
  "overloaded",
  "engine_restarted",
  // Others may hold it still, or already.
  "revision_mismatch",
]);
const queuePollMs = 50;
/** A hedge for which there was no budget is thought of again after this part of the first wait. */
const hedgeAgainShare = 0.5;

const misunderstood = (internal: string): AppError =>
  new AppError("node_protocol", "The node's answer was not understood.", { internal });

export function nodeAsker(options: AskOptions): AskNode {
  const { fleet, exchangeWith, held, retryWaitMs, queueMs, maxWaiting = 200 } = options;
  const { clock = realClock, random = Math.random } = options;
  let waiting = 0;

  /** Waits a moment for a place at a node; throws overloaded when the call may not wait (any longer). */
  async function waitForPlace(bulk: boolean, giveUpAt: number, signal: AbortSignal): Promise<void> {
    if (bulk || waiting >= maxWaiting || clock.now() >= giveUpAt) throw allTaken();
    waiting += 1;
    try {
      await clock.sleep(queuePollMs);
    } finally {
      waiting -= 1;
    }
    signal.throwIfAborted();
  }

  return async <Asked extends NodeAsked, Told extends NodeTold>(
    call: NodeCall<Asked, Told>,
    question: Question<Asked>,
    signal: AbortSignal,
  ): Promise<Reply<Told>> => {
    signal.throwIfAborted();
    const ask = () => question.request(Math.max(1, Math.floor(question.remainingMs())));
    const about = ask();
    const streams = question.onText !== undefined;
    const pictureKey = pictureKeyOf(about);
    const { timed } = question;
    const wanted: Wanted = {
      model: about.model,
      revision: about.model_revision,
      key: about.image?.image_id ?? String(random()),
      bulk: about.priority === "bulk",
    };
    let attempts = 0;
    /** The attempt whose texts are heard. */
    let speaker: Attempt | undefined;
    let second: Reply<Told>["second"];
    /** What runs, in the order in which it was begun. */
    const running = new Map<Attempt, Promise<Settled<Told>>>();
    const tried = new Set<string>();
    let stored: Promise<Uint8Array | undefined> | undefined;
    const storedPixels = () => (stored ??= Promise.resolve(question.loadPixels?.()));

    const begin = (url: string, withPixels: boolean): Flight => {
      const kind = latencyKind(call, about, { withPixels, streams });
      return fleet.begin(url, kind, question.remainingMs(), clock.now());
    };
    const end = ({ flight }: Attempt, error: unknown): void =>
      fleet.end(flight, outcomeOf(error, signal), clock.now());

    function start(node: NodeAddress): Attempt {
      const { url } = node;
      const heldKey = pictureKey === undefined ? undefined : `${url} ${pictureKey}`;
      const pixels = heldKey === undefined || held.has(heldKey) ? undefined : question.pixels;
      const stopper = new AbortController();
      const attempt: Attempt = {
        url,
        abort: (reason) => stopper.abort(reason),
        signal: AbortSignal.any([signal, stopper.signal]),
        flight: begin(url, pixels !== undefined),
      };
      const exchange = exchangeWith(node);
      const { onText } = question;
      const hear = onText === undefined ? undefined : listenTo(attempt, onText);

      const send = async (sent: Uint8Array | undefined) => {
        attempts += 1;
        const request = ask();
        const asked = nodeRequest(call.path, request, sent);
        const sendTraced = (traced?: TracedExchange) =>
          exchange({ ...asked, traced }, attempt.signal, hear);
        const body = await (timed === undefined ? sendTraced() : timed(sendTraced));
        const told = call.answer.safeParse(body);
        if (!told.success) throw misunderstood(told.error.message);
        const fault = call.fault(request, told.data);
        if (fault !== undefined) throw misunderstood(fault);
        return { told: told.data, sentPixels: sent !== undefined };
      };
      /** After 428: the same with the pixels. */
      const sendPixels = async (error: unknown) => {
        if (!(error instanceof AppError) || error.code !== "pixels_required") throw error;
        if (pixels !== undefined) throw misunderstood("it asks for pixels that it was sent");
        if (heldKey === undefined) throw misunderstood("it asks for pixels where there are none");
        if (speaker === attempt) throw misunderstood("it asks for pixels after a text");
        end(attempt, error);
        held.forget(heldKey);
        const found = question.pixels ?? (await storedPixels());
        if (found === undefined) throw pixelsGone();
        attempt.signal.throwIfAborted();
        attempt.flight = begin(url, true);
        return send(found);
      };
      const carryOut = async (): Promise<Settled<Told>> => {
        try {
          const answered = await send(pixels).catch(sendPixels);
          if (heldKey !== undefined && question.keepsNothing !== true) held.add(heldKey);
          end(attempt, undefined);
          return { ok: true, attempt, ...answered };
        } catch (error) {
          end(attempt, error);
          if (error instanceof ConnectionBroke) held.forgetAll(`${url} `);
          if (error instanceof AppError && error.code === "revision_mismatch") {
            fleet.lacks(url, about.model, about.model_revision, clock.now());
          }
          return { ok: false, attempt, error };
        }
      };
      tried.add(url);
      running.set(attempt, carryOut());
      return attempt;
    }

    /** Of two nodes that stream, the one that speaks first is heard, and the other let go. */
    function listenTo(attempt: Attempt, onText: OnText): OnText {
      return (index, text) => {
        if (speaker === undefined) {
          speaker = attempt;
          fleet.spoke(attempt.flight, clock.now());
          letGoAllBut(attempt);
        }
        if (speaker === attempt) onText(index, text);
      };
    }
    /** The one that was asked first has lost; of the other, which had less time, nothing is learnt. */
    function letGoAllBut(winner: Attempt): void {
      for (const attempt of running.keys()) {
        if (attempt === winner) continue;
        running.delete(attempt);
        fleet.end(attempt.flight, { kind: attempt === first ? "lost" : "abandoned" }, clock.now());
        attempt.abort(new AppError("canceled", "Another node answered first."));
      }
    }

    const mayAskAnother = (): boolean => second === undefined && speaker === undefined;
    function hedge(): void {
      const now = clock.now();
      const spare = fleet.chooseSpare({ ...wanted, exclude: tried }, now);
      if (spare.kind !== "node" || !fleet.takeHedge(now)) return;
      second = "hedge";
      start(spare);
    }
    /** The node for the one retry; undefined when the failure is final. */
    async function nodeForRetry(error: unknown): Promise<NodeAddress | undefined> {
      if (!mayAskAnother()) return undefined;
      const broke = error instanceof ConnectionBroke;
      if (!broke && !(error instanceof AppError && elsewhere.has(error.code))) return undefined;
      const unheard = broke && !error.answered;
      const now = clock.now();
      const other = fleet.choose({ ...wanted, exclude: tried }, now);
      const next = other.kind !== "node" && unheard ? fleet.choose(wanted, now) : other;
      if (next.kind !== "node") return undefined;
      // One that broke before a byte of answer is tried again whatever the budget has left.
      if (!fleet.takeRetry(now)) {
        if (!unheard) return undefined;
        fleet.spendRetry(now);
      }
      if (tried.has(next.url)) await clock.sleep(retryWaitMs);
      signal.throwIfAborted();
      return next;
    }

    const arrivedAt = clock.now();
    fleet.arrived(arrivedAt);
    let choice = fleet.choose(wanted, arrivedAt);
    while (choice.kind === "full") {
      const giveUpAt = arrivedAt + queueMs;
      await waitForPlace(wanted.bulk, giveUpAt, signal);
      choice = fleet.choose(wanted, clock.now());
    }
    if (choice.kind === "none") throw unreachable(choice.retryAt, clock.now());
    const first = start(choice);
    const hedgeAfterMs = fleet.hedgeAfterMs(first.flight.kind, clock.now());
    let waitMs = hedgeAfterMs;
    for (;;) {
      const settled = await nextOf(
        [...running.values()],
        mayAskAnother() ? waitMs : undefined,
        clock,
      );
      if (settled === undefined) {
        hedge();
        waitMs = Math.max(fleet.policy.minHedgeMs, (hedgeAfterMs ?? 0) * hedgeAgainShare);
        continue;
      }
      const { attempt } = settled;
      running.delete(attempt);
      if (settled.ok) {
        letGoAllBut(attempt);
        const { told: answer, sentPixels } = settled;
        return { answer, attempts, sentPixels, node: attempt.url, second };
      }
      signal.throwIfAborted();
      if (running.size > 0) continue;
      const { error } = settled;
      const next = await nodeForRetry(error);
      if (next === undefined) throw publicly(error);
      second = "retry";
      start(next);
    }
  };
}

/** What settles next, or undefined when `waitMs` pass first. */
async function nextOf<Item>(
  settling: readonly Promise<Item>[],
  waitMs: number | undefined,
  clock: Clock,
): Promise<Item | undefined> {
  if (waitMs === undefined) return Promise.race(settling);
  let cancel = (): void => {};
  const late = new Promise<undefined>((resolve) => {
    cancel = clock.after(waitMs, () => resolve(undefined));
  });
  try {
    return await Promise.race([...settling, late]);
  } finally {
    cancel();
  }
}

function unreachable(retryAt: number | undefined, now: number): AppError {
  const retryAfterS =
    retryAt === undefined ? undefined : Math.max(1, Math.ceil((retryAt - now) / 1000));
  return unavailable("no node that serves this model can be reached", retryAfterS);
}

const allTaken = (): AppError =>
  new AppError("overloaded", "Every node is busy. Try again after the time in Retry-After.", {
    internal: "every node has as many calls of this isolate as it may",
    retryAfterS: 1,
  });
const pixelsGone = (): AppError =>
  new AppError(
    "image_pixels_gone",
    "The pixels of this image are no longer stored at the size that the model needs. Send the picture again.",
  );
const publicly = (error: unknown): unknown =>
  error instanceof ConnectionBroke ? unavailable(error.message, undefined, error) : error;

/** What a node holds are a model's features of a picture; undefined for a request about no picture. */
const pictureKeyOf = ({
  partition,
  image,
  model_revision: revision,
}: NodeAsked): string | undefined =>
  image === undefined ? undefined : `${partition}/${image.image_id}/${image.size}/${revision}`;

function nodeRequest(path: string, asked: NodeAsked, pixels: Uint8Array | undefined): NodeRequest {
  const base = { method: "POST", path } as const;
  const json = JSON.stringify(asked);
  if (pixels !== undefined) return { ...base, ...writeFrame({ json, pixels }) };
  return { ...base, contentType: "application/json", body: new TextEncoder().encode(json) };
}
