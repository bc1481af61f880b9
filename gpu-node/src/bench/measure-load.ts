// A node under load, seen from outside: what many callers at once get, what they cost each other, and whether the
// door answers meanwhile.
import { setTimeout as sleep } from "node:timers/promises";
import { defaultBudgets } from "../engine/engine.ts";
import type { Lag } from "./lag-messages.ts";
import { exactly, freshCaption, heldCaption, type Lengths, mixedLengths } from "./load-mix.ts";
import type { StageTime, StageTimes } from "./measure-stages.ts";
import { type Asked, firstTokenMs, type NodeClient, type Told } from "./node-client.ts";
import { median, type Spread, spreadOf } from "./percentiles.ts";
import { stepSeconds, wholeSeconds } from "./predict-load.ts";
import { runTogether, type Together, tokensOf } from "./run-together.ts";

export interface LoadSettings {
  readonly concurrency: readonly number[];
  readonly lengths: Lengths;
  /** Of each level of concurrency at least. */
  readonly leastRequests: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export interface LoadLevel {
  readonly concurrency: number;
  readonly requests: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly tokensPerSecond: number;
  readonly latencyMs: Spread;
  readonly firstTokenMs: Spread;
  /** Calls that were made again because the node had no room. */
  readonly refusals: number;
}

export interface TogetherRates {
  readonly requests: number;
  readonly tokens: number;
  /** Pictures held, prompts read: what decoding took, one after another and all at once. */
  readonly decodeOneByOneSeconds: number;
  readonly decodeTogetherSeconds: number;
  readonly decodeRatio: number;
  /** Pictures not seen before. */
  readonly wholeSeconds: number;
  readonly predictedSeconds: number;
  /** Predicted to measured: 1 is what the stages by themselves allow. */
  readonly ofPrediction: number;
}

export interface ShortAmongLong {
  readonly longRequests: number;
  /** Of the short request when nothing else runs, and the worst among the long ones. */
  readonly aloneFirstTokenMs: number;
  readonly firstTokenMs: number;
  /** What it waited, at worst. */
  readonly waitedMs: number;
  /** One decode run of the long ones, or one vision batch, whichever takes longer. */
  readonly boundMs: number;
}

export interface SecondQuestion {
  /** Vision passes of all second questions together. */
  readonly visionPasses: number;
  readonly firstMs: number;
  readonly secondMs: number;
  /** Second to first, to the first token. */
  readonly ratio: number;
}

export interface LoadReport {
  readonly levels: readonly LoadLevel[];
  readonly together: TogetherRates;
  readonly shortAmongLong: ShortAmongLong;
  readonly secondQuestion: SecondQuestion;
  /** While the highest level ran. */
  readonly healthMs: Spread;
  readonly eventLoopLagMs: Lag;
}

/** What of a node the bench uses beside its answers. */
export interface Probed {
  resetLag(): void;
  readLag(): Promise<Lag>;
}

const healthEveryMs = 50;
const togetherRequests = 16;
const longRequests = 8;
const trials = 3;
/** At another moment of a decode run each time. */
const betweenTrialsMs = 90;
const secondQuestions = 5;

/** Errors: those of a call that the node refuses, the signal's reason. */
export async function measureLoad(
  client: NodeClient,
  node: Probed,
  stages: StageTimes,
  settings: LoadSettings,
): Promise<LoadReport> {
  const { say, concurrency } = settings;
  const pictures = counter();
  say("warming the node up");
  await client.infer(freshCaption(pictures(), 2));

  const levels: LoadLevel[] = [];
  let saturated = { healthMs: spreadOf([]), lag: { p50Ms: NaN, p99Ms: NaN, maxMs: NaN } };
  for (const level of concurrency) {
    say(`${level} at a time`);
    const work = () => measureLevel(client, level, pictures, settings);
    if (level < Math.max(...concurrency)) levels.push(await work());
    else {
      const watched = await whileAnswering(client, node, settings.signal, work);
      levels.push(watched.result);
      saturated = watched;
    }
  }
  say(`${togetherRequests} at once and one after another`);
  const together = await measureTogether(client, stages, pictures, settings);
  say("a short request among long ones");
  const shortAmongLong = await measureShort(client, stages, pictures, settings);
  say("a second question about the same picture");
  const secondQuestion = await measureSecond(client, pictures, settings);
  return {
    levels,
    together,
    shortAmongLong,
    secondQuestion,
    healthMs: saturated.healthMs,
    eventLoopLagMs: saturated.lag,
  };
}

/** Pictures that no request has shown before. */
const counter = (): (() => number) => {
  let next = 0;
  return () => next++;
};

async function measureLevel(
  client: NodeClient,
  concurrency: number,
  pictures: () => number,
  { lengths, leastRequests, signal }: LoadSettings,
): Promise<LoadLevel> {
  const requests = Math.max(leastRequests, 2 * concurrency);
  const calls = mixedLengths(requests, lengths).map((tokens) => freshCaption(pictures(), tokens));
  const run = await runTogether(client, calls, concurrency, signal);
  return {
    concurrency,
    requests,
    seconds: run.seconds,
    requestsPerSecond: requests / run.seconds,
    tokensPerSecond: tokensOf(run) / run.seconds,
    latencyMs: spreadOf(run.told.map(({ tookMs }) => tookMs)),
    firstTokenMs: spreadOf(run.told.map(firstTokenMs)),
    refusals: run.told.reduce((sum, { refusals }) => sum + refusals, 0),
  };
}

async function whileAnswering<T>(
  client: NodeClient,
  node: Probed,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<{ result: T; healthMs: Spread; lag: Lag }> {
  const answers: number[] = [];
  const done = new AbortController();
  const watch = async (): Promise<void> => {
    const either = AbortSignal.any([signal, done.signal]);
    for (; !either.aborted;) {
      answers.push(await client.health());
      await sleep(healthEveryMs, undefined, { signal: either }).catch(() => {});
    }
  };
  node.resetLag();
  const watching = watch();
  try {
    const result = await work();
    const lag = await node.readLag();
    return { result, healthMs: spreadOf(answers), lag };
  } finally {
    done.abort();
    await watching;
  }
}

async function measureTogether(
  client: NodeClient,
  stages: StageTimes,
  pictures: () => number,
  { lengths, signal }: LoadSettings,
): Promise<TogetherRates> {
  const mix = mixedLengths(togetherRequests, lengths);
  const shown = mix.map(pictures);
  const run = (calls: readonly Asked[], concurrency: number): Promise<Together> =>
    runTogether(client, calls, concurrency, signal);
  const fresh = mix.map((tokens, at) => freshCaption(shown[at] ?? 0, tokens));
  const whole = await run(fresh, togetherRequests);
  const held = fresh.map((call): Asked => ({ ...call, withPixels: false }));
  // Forced to one token, what remains is everything but decoding.
  const firsts = held.map((call): Asked => ({ ...call, generation: exactly(1) }));
  const decoding = async (concurrency: number): Promise<number> =>
    (await run(held, concurrency)).seconds - (await run(firsts, concurrency)).seconds;
  const decodeOneByOneSeconds = await decoding(1);
  const decodeTogetherSeconds = await decoding(togetherRequests);
  const predictedSeconds = wholeSeconds(stages, mix);
  return {
    requests: togetherRequests,
    tokens: tokensOf(whole),
    decodeOneByOneSeconds,
    decodeTogetherSeconds,
    decodeRatio: decodeOneByOneSeconds / decodeTogetherSeconds,
    wholeSeconds: whole.seconds,
    predictedSeconds,
    ofPrediction: predictedSeconds / whole.seconds,
  };
}

async function measureShort(
  client: NodeClient,
  { stages }: StageTimes,
  pictures: () => number,
  { lengths, signal }: LoadSettings,
): Promise<ShortAmongLong> {
  const { shortest, longest } = lengths;
  const short = (): Asked => freshCaption(pictures(), shortest);
  const alone = await client.infer(short());
  const shown = Array.from({ length: longRequests }, pictures);
  const seen = shown.map((picture) => freshCaption(picture, 1));
  await runTogether(client, seen, longRequests, signal);
  const long = shown.map((picture) => heldCaption(picture, longest));
  const among: Told[] = [];
  for (let trial = 1; trial <= trials; trial += 1) {
    const texts = long.map(() => Promise.withResolvers<void>());
    const running = Promise.all(long.map((call, at) => client.infer(call, texts[at]?.resolve)));
    const late = async (): Promise<Told> => {
      // Every long one decodes by then: who still reads a prompt came first and is no decode run.
      await Promise.race([Promise.all(texts.map(({ promise }) => promise)), running]);
      await sleep(trial * betweenTrialsMs, undefined, { signal });
      return client.infer(short());
    };
    const [told] = await Promise.all([late(), running]);
    among.push(told);
  }
  return {
    longRequests,
    aloneFirstTokenMs: firstTokenMs(alone),
    firstTokenMs: Math.max(...among.map(firstTokenMs)),
    waitedMs: Math.max(
      ...among.map((told) => (told.stages["queue"] ?? 0) + (told.stages["wait"] ?? 0)),
    ),
    boundMs: longestActionMs(stages, longRequests),
  };
}

/** One decode run of so many sequences or one vision batch, whichever takes longer, as the engine bounds them. */
export function longestActionMs(times: readonly StageTime[], sequences: number): number {
  const { maxImages, maxSteps, runMs } = defaultBudgets;
  const within = (most: number, eachMs: number): number =>
    eachMs * Math.max(1, Math.min(most, Math.floor(runMs / eachMs)));
  const looks = times
    .filter(({ stage }) => stage === "vision" || stage === "qformer")
    .filter(({ batch }) => batch === Math.min(...times.map((time) => time.batch)))
    .reduce((sum, { seconds, batch }) => sum + (seconds / batch) * 1000, 0);
  const stepMs = stepSeconds(times, sequences) * 1000;
  return Math.max(within(maxSteps, stepMs), looks === 0 ? 0 : within(maxImages, looks));
}

async function measureSecond(
  client: NodeClient,
  pictures: () => number,
  { lengths }: LoadSettings,
): Promise<SecondQuestion> {
  const firsts: number[] = [];
  const seconds: number[] = [];
  let visionPasses = 0;
  for (let trial = 0; trial < secondQuestions; trial += 1) {
    const picture = pictures();
    firsts.push(firstTokenMs(await client.infer(freshCaption(picture, lengths.shortest))));
    const question = "Question: what is in the picture? Answer:";
    const again = { ...heldCaption(picture, lengths.shortest), text: question };
    const told = await client.infer(again);
    seconds.push(firstTokenMs(told));
    visionPasses += told.visionPasses;
  }
  const [firstMs, secondMs] = [median(firsts), median(seconds)];
  return { visionPasses, firstMs, secondMs, ratio: secondMs / firstMs };
}
