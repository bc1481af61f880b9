// Both sides of the protocol as they are today, each with what writes and reads messages and nothing behind it: the
// edge's asking of nodes and its hearing of heartbeats, the node's door and its announcer. A scenario stands for the engine.
import { problemResponse } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import { createVerifier, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { announcements } from "../../../edge/src/nodes/announcements.ts";
import { readAllowedOrigin } from "../../../edge/src/nodes/announcers.ts";
import { nodeAsker, type AskNode } from "../../../edge/src/nodes/ask.ts";
import type { Exchange, Fetch } from "../../../edge/src/nodes/exchange.ts";
import { createFleet, type NodeFacts } from "../../../edge/src/nodes/fleet.ts";
import { heldImages } from "../../../edge/src/nodes/held-images.ts";
import { nodeExchanges } from "../../../edge/src/nodes/node-exchanges.ts";
import type { Dispatcher } from "../../../gpu-node/src/engine/dispatcher.ts";
import type { EngineState } from "../../../gpu-node/src/engine/supervisor.ts";
import { createAnnouncer } from "../../../gpu-node/src/http/announcer.ts";
import { createDoor } from "../../../gpu-node/src/http/app.ts";
import { createLog } from "../../../gpu-node/src/observe/log.ts";
import { createMetrics } from "../../../gpu-node/src/observe/metrics.ts";
import { memoryRegistry } from "../../support/memory-registry.ts";

const nodeUrl = "https://gpu-1.example.com";
const edgeUrl = "https://edge.example.com";
const keyId = "golden";
const keys = parseSigningKeys(`${keyId}:a-golden-secret-of-more-than-thirty-two-bytes`);

const opt: CatalogModel = {
  model: "golden-opt",
  model_revision: "0123456789abcdef",
  family: "opt",
  image_size: 14,
  abilities: ["caption", "vqa"],
  question_template: "Question: {} Answer:",
  precision: "mixed",
};
const itm: CatalogModel = {
  model: "golden-itm",
  model_revision: "fedcba9876543210",
  family: "retrieval",
  image_size: 14,
  abilities: ["match", "embed"],
  precision: "fp16",
  calibration: {
    pictures: 5000,
    text_mean: { slope: 20, intercept: -6, log_words: 0.25, text: [0.5, -0.5], min_score: 0.1 },
    itm: { slope: 4, intercept: -2, min_score: 0.5 },
  },
};
export const models = { opt, itm };
const catalog = [opt, itm];

export interface EdgeSide {
  readonly ask: AskNode;
  readonly exchange: Exchange;
}

/** The edge, whose requests go out by `send`. */
export function edgeSide(send: Fetch): EdgeSide {
  const exchangeWith = nodeExchanges({ keys, fetch: send });
  const fleet = createFleet();
  fleet.setNodes([{ url: nodeUrl, weight: 1, models: catalog }], Date.now());
  const ask = nodeAsker({
    ...{ fleet, exchangeWith, held: heldImages() },
    ...{ retryWaitMs: 0, queueMs: 0 },
  });
  return { ask, exchange: exchangeWith({ url: nodeUrl }) };
}

export interface Behaviour {
  /** Whether the engine holds what the job needs of its picture. */
  readonly held: boolean;
  readonly state?: EngineState;
  readonly run: Dispatcher["run"];
}

/** The node, as its edge's `fetch` reaches it. */
export function nodeSide({ held, state = "ready", run }: Behaviour): Fetch {
  const idle = { waiting: 0, workMs: 0 };
  const door = createDoor({
    engine: {
      state,
      models: catalog,
      holds: () => held,
      retryAfterS: () => 7,
      reload: () => Promise.resolve(catalog),
    },
    dispatcher: { run },
    verifier: createVerifier({ keys }),
    metrics: createMetrics({
      load: () => ({ interactive: idle, bulk: idle }),
      jobsRunning: () => 0,
      featureStoreBytes: () => 0,
      engineRestarts: () => 0,
      engineReady: () => true,
      nodeReady: () => true,
      models: () => [],
      doorRssBytes: () => 1,
      doorLoopLag: () => ({ p50Ms: 0, p99Ms: 0, maxMs: 0 }),
    }),
    log: createLog(() => {}),
  });
  return async (url, init) => door.request(url, init);
}

/** The edge that hears heartbeats, as the node's `fetch` reaches it, and what it then knows of nodes. */
export function hearingEdge(): { readonly hear: Fetch; list(): Promise<readonly NodeFacts[]> } {
  const allowed = readAllowedOrigin(`${keyId}=${nodeUrl}`);
  if (allowed === undefined) throw new Error("the origin is not understood");
  const rooms = announcements({
    askRegistry: memoryRegistry(),
    keys,
    allowed: [allowed],
    everyMs: 5000,
  });
  return {
    async hear(url, init) {
      const request = new Request(url, init);
      const { method, headers } = request;
      try {
        const readBody = async () => new Uint8Array(await request.arrayBuffer());
        const { answer } = await rooms.hear({ method, url, headers }, readBody);
        return Response.json(answer);
      } catch (error) {
        return problemResponse(error);
      }
    },
    list: () => rooms.list(Date.now()),
  };
}

/**
 * The node says that it is ready, that it is not, and that it leaves. Gives how long it was told to wait after each
 * of the first two: a second where it did not understand the answer.
 */
export async function announcingNode(send: Fetch): Promise<readonly number[]> {
  const pauses: number[] = [];
  let ready = true;
  let plan = Promise.withResolvers<() => void>();
  const log = createLog(() => {});
  const announcer = createAnnouncer({
    ...{ edgeUrl, url: () => nodeUrl, keys, log, version: "0.0.0", firstPauseMs: 1000 },
    describe: () => ({
      state: ready ? "ready" : "not_ready",
      capacity: { weight: 2, max_jobs: 64, max_work_ms: 20_000 },
      load: { jobs: 3, work_ms: 250 },
      models: catalog,
    }),
    fetch: (input, init = {}) => {
      if (typeof input !== "string") throw new Error("the announcer names its target by a text");
      return send(input, init);
    },
    schedule(ms, what) {
      if (ms > 0) pauses.push(ms);
      plan.resolve(what);
      return () => {};
    },
  });
  const next = async (): Promise<void> => {
    const beat = await plan.promise;
    plan = Promise.withResolvers();
    beat();
  };
  announcer.start();
  await next();
  await plan.promise;
  ready = false;
  await next();
  await plan.promise;
  await announcer.leave();
  return pauses;
}
