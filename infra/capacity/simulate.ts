// The whole of it in virtual time: requests of a mix come in, find their answer in a cache or wait for whoever is at it, or
// go to a node. Everything that decides is the product's own (timed-fleet.ts, timed-node.ts); how long things take is given.
// The same seed gives the same run.
import { AppError } from "@blip2-edge/shared/problem";
import type { EmbedRequest, InferRequest, MatchRequest } from "@blip2-edge/shared/wire/protocol";
import type { AskNode, Question } from "../../edge/src/nodes/ask.ts";
import { embedCall, inferCall, matchCall, type NodeAsked } from "../../edge/src/nodes/calls.ts";
import type { FleetPolicy } from "../../edge/src/nodes/policy.ts";
import { type Spread, spreadOf } from "../../gpu-node/src/bench/percentiles.ts";
import { createRandom } from "../../gpu-node/src/generate/random.ts";
import { virtualClock, type VirtualClock } from "../../test/support/virtual-clock.ts";
import { picturePixels } from "./mix-pictures.ts";
import { mixTexts } from "./mix-texts.ts";
import type { NodeProfile } from "./node-profile.ts";
import {
  answerTokens,
  arrivalsOf,
  type MixRequest,
  type RequestMix,
  requestsOf,
} from "./request-mix.ts";
import { createTimedFleet, type TimedFleet } from "./timed-fleet.ts";
import { timedComparer, timedImageSize, timedWriter } from "./timed-models.ts";

/** What the edge takes, in milliseconds. */
export interface EdgeTimes {
  /** From the request to the answer where the cache of the place has it. */
  readonly hitMs: number;
  /** More, where only KV has it. */
  readonly farMs: number;
  /** More than a hit, where a node is asked: the picture is decoded, the result is stored. */
  readonly missMs: number;
  /** To a node, and as long back. */
  readonly toNodeMs: number;
}

export type Load =
  /** So many a second, whether or not they are answered. */
  | { readonly kind: "open"; readonly perS: number }
  /** So many callers, each of which sends its next request when it has its answer. */
  | { readonly kind: "closed"; readonly callers: number };

export interface SimulationOptions {
  readonly profile: NodeProfile;
  readonly mix: RequestMix;
  readonly nodes: number;
  readonly load: Load;
  readonly edge: EdgeTimes;
  /** Counted, after so many that are not. */
  readonly seconds: number;
  readonly warmUpS?: number;
  readonly seed?: number;
  readonly isolates?: number;
  /** Places with a cache of their own, each with as many of the requests. */
  readonly places?: number;
  /** Requests that have been there before the first, and whose answers are kept. */
  readonly before?: number;
  readonly timeoutMs?: number;
  readonly policy?: Partial<FleetPolicy>;
  /** How long a call waits for a place at a node when all are taken, as NODE_QUEUE_MS. */
  readonly queueMs?: number;
  /** What a model really takes instead of what the profile says; as the profile says when left out. */
  readonly vary?: (ms: number) => number;
  /** Hears what each counted request took. */
  readonly onServed?: (tookMs: number) => void;
}

export interface SimulationReport {
  readonly requests: number;
  readonly answered: number;
  readonly perS: number;
  /** By the code of their problem. */
  readonly failed: Readonly<Record<string, number>>;
  readonly latencyMs: Spread;
  /** Of those that asked a node, or waited for who did. */
  readonly liveMs: Spread;
  readonly hitRate: number;
  /** Of the hits, those in the cache of the place. */
  readonly nearShare: number;
  /** Of those that were not found. */
  readonly sharedShare: number;
  readonly nodeCallsPerS: number;
  readonly visionPassesPerS: number;
  /** The part of the time for which each node had something to run. */
  readonly busy: readonly number[];
}

interface Served {
  readonly how: "near" | "far" | "shared" | "live";
  readonly tookMs: number;
  readonly failed: string | undefined;
}

/** Of the event loop, between two moments: the engine passes one between two of its actions. */
const turns = 3;
const partition = "0".repeat(32);

/** Its number is its name here. */
function pictureOf(picture: number) {
  const id = (picture >>> 0).toString(16).padStart(8, "0").repeat(8);
  const image = { image_id: `img_${id}`, size: timedImageSize } as const;
  return { pixels: picturePixels(picture), image };
}

async function askFor(
  request: MixRequest,
  ask: AskNode,
  mix: RequestMix,
  remainingMs: () => number,
  signal: AbortSignal,
): Promise<void> {
  const { task, text = 0 } = request;
  const asking = <Asked extends NodeAsked>(
    request: Question<Asked>["request"],
    pixels?: Uint8Array,
  ): Question<Asked> => ({ request, remainingMs, pixels });
  if (task === "search") {
    const texts = [mixTexts.search(text)];
    const asked = asking<EmbedRequest>((deadline_ms) => ({
      ...{ ...timedComparer, texts, deadline_ms },
      features: "projected",
    }));
    await ask(embedCall, asked, signal);
    return;
  }
  const { pixels, image } = pictureOf(request.picture ?? 0);
  if (task === "match") {
    const texts = mixTexts.labels(mix, text);
    const asked = asking<MatchRequest>(
      (deadline_ms) => ({
        ...{ ...timedComparer, partition, image, texts, deadline_ms },
        scores: ["itm"],
      }),
      pixels,
    );
    await ask(matchCall, asked, signal);
    return;
  }
  // In the template that the edge puts a question into.
  const texts = task === "vqa" ? [`Question: ${mixTexts.question(text)} Answer:`] : [null];
  const generation = { max_new_tokens: Math.max(...mix.answer_tokens) };
  const asked = asking<InferRequest>(
    (deadline_ms) => ({ ...timedWriter, partition, image, texts, generation, deadline_ms }),
    pixels,
  );
  await ask(inferCall, asked, signal);
}

/** Lets time pass until every node is ready. */
async function warmedUp(fleet: TimedFleet, clock: VirtualClock): Promise<void> {
  const state = { warm: false };
  const warming = fleet.warmUp().then(() => void (state.warm = true));
  while (!state.warm) await clock.runUntil(clock.now() + 1000);
  await warming;
}

export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { profile, mix, edge, load, seconds, seed = 1, timeoutMs = 60_000 } = options;
  const { warmUpS = seconds / 5, isolates = 1, places = 1, before = 0, onServed } = options;
  const clock = virtualClock(1_000_000, turns);
  const random = createRandom(seed, 3);
  const fleet = createTimedFleet({
    ...{ profile, clock, random, isolates, nodes: options.nodes, toNodeMs: edge.toNodeMs },
    tokensOf: answerTokens(mix),
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.queueMs === undefined ? {} : { queueMs: options.queueMs }),
    ...(options.vary === undefined ? {} : { vary: options.vary }),
  });
  const next = requestsOf(mix, seed);
  const wait = arrivalsOf(mix, load.kind === "open" ? load.perS : 1, seed);

  const kept = new Set<string>();
  const near = Array.from({ length: places }, () => new Set<string>());
  const pick = (count: number): number => Math.floor(random() * count);
  for (let at = 0; at < before; at += 1) {
    const { key, picture = 0 } = next();
    if (picture < 0) continue;
    kept.add(key);
    near[pick(places)]?.add(key);
  }
  const atWork = new Map<string, Promise<void>>();

  async function answer(request: MixRequest, startedAt: number): Promise<Served["how"]> {
    const { key } = request;
    const place = near[pick(places)];
    const asker = fleet.askers[pick(isolates)];
    await clock.sleep(edge.hitMs);
    if (place?.has(key) === true) return "near";
    if (kept.has(key)) {
      await clock.sleep(edge.farMs);
      place?.add(key);
      return "far";
    }
    const other = atWork.get(key);
    if (other !== undefined) {
      await other;
      return "shared";
    }
    const work = (async () => {
      await clock.sleep(edge.missMs);
      const stop = new AbortController();
      const cancel = clock.after(timeoutMs, () =>
        stop.abort(new AppError("deadline_exceeded", "")),
      );
      try {
        if (asker === undefined) throw new Error("no isolate");
        const remainingMs = (): number => startedAt + timeoutMs - clock.now();
        await askFor(request, asker, mix, remainingMs, stop.signal);
      } finally {
        cancel();
      }
    })();
    atWork.set(key, work);
    try {
      await work;
    } finally {
      atWork.delete(key);
    }
    // What is fresh is asked for once: keeping it would only take room here.
    if ((request.picture ?? 0) >= 0) {
      kept.add(key);
      place?.add(key);
    }
    return "live";
  }

  const served: Served[] = [];
  let counting = false;
  let requests = 0;
  async function one(): Promise<number> {
    const startedAt = clock.now();
    const counted = counting;
    if (counted) requests += 1;
    const told = async (): Promise<
      Pick<Served, "how" | "failed"> & { readonly againS: number }
    > => {
      try {
        return { how: await answer(next(), startedAt), failed: undefined, againS: 0 };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return { how: "live", failed: error.code, againS: error.retryAfterS ?? 1 };
      }
    };
    const { how, failed, againS } = await told();
    const tookMs = clock.now() - startedAt;
    if (counted) served.push({ how, failed, tookMs });
    if (counted) onServed?.(tookMs);
    return againS;
  }

  await warmedUp(fleet, clock);
  const from = clock.now();
  const countFrom = from + warmUpS * 1000;
  const end = countFrom + seconds * 1000;
  if (load.kind === "open") {
    const arrive = (): void => {
      if (clock.now() >= end) return;
      void one();
      clock.after(wait() * 1000, arrive);
    };
    clock.after(wait() * 1000, arrive);
  } else {
    const caller = async (): Promise<void> => {
      while (clock.now() < end) await clock.sleep((await one()) * 1000);
    };
    for (let at = 0; at < load.callers; at += 1) void caller();
  }
  await clock.runUntil(countFrom);
  counting = true;
  const [busyBefore, callsBefore, passesBefore] = [
    fleet.nodes.map(({ busyMs }) => busyMs),
    fleet.calls,
    fleet.nodes.reduce((sum, { visionPasses }) => sum + visionPasses, 0),
  ];
  await clock.runUntil(end);
  const busy = fleet.nodes.map(
    ({ busyMs }, at) => (busyMs - (busyBefore[at] ?? 0)) / (seconds * 1000),
  );
  const calls = fleet.calls - callsBefore;
  const passes =
    fleet.nodes.reduce((sum, { visionPasses }) => sum + visionPasses, 0) - passesBefore;
  counting = false;
  // Who came in time is waited for.
  await clock.runUntil(end + timeoutMs + 2000);
  fleet.stop();

  const answered = served.filter(({ failed }) => failed === undefined);
  const how = (...hows: readonly Served["how"][]) =>
    answered.filter((each) => hows.includes(each.how));
  const live = how("live", "shared");
  const hits = how("near", "far");
  const failed: Record<string, number> = {};
  for (const { failed: code } of served)
    if (code !== undefined) failed[code] = (failed[code] ?? 0) + 1;
  return {
    requests,
    answered: answered.length,
    perS: answered.length / seconds,
    failed,
    latencyMs: spreadOf(answered.map(({ tookMs }) => tookMs)),
    liveMs: spreadOf(live.map(({ tookMs }) => tookMs)),
    hitRate: hits.length / Math.max(1, answered.length),
    nearShare: how("near").length / Math.max(1, hits.length),
    sharedShare: how("shared").length / Math.max(1, live.length),
    nodeCallsPerS: calls / seconds,
    visionPassesPerS: passes / seconds,
    busy,
  };
}
