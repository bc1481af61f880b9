// One connection from its webhook to the CMS's field, in this process: inbox, tables, lane, adapter and the way out are
// the Worker's own; in memory are D1, the queue, the clock and the CMS, and what looks at a picture is a digest.
import { createHash } from "node:crypto";
import {
  createConnectionRequestSchema,
  type CreateConnectionRequest,
} from "@blip2-edge/shared/contracts/connections";
import type { Delivery, HookAccepted } from "@blip2-edge/shared/contracts/deliveries";
import { AppError } from "@blip2-edge/shared/problem";
import { noLimits, type Caller } from "../../edge/src/auth/caller.ts";
import { sealer } from "../../edge/src/auth/seal.ts";
import type { Fetch } from "../../edge/src/images/fetch.ts";
import { pictureMemory } from "../../edge/src/images/picture-memory.ts";
import { backfillSteps } from "../../edge/src/webhooks/backfill-steps.ts";
import { connect, type Connected, type ConnectedRooms } from "../../edge/src/webhooks/connected.ts";
import { connectionBook } from "../../edge/src/webhooks/connection-book.ts";
import { acceptSuggestion, undoSuggestion } from "../../edge/src/webhooks/decide-suggestion.ts";
import { deliveryStore } from "../../edge/src/webhooks/delivery-store.ts";
import type { Described } from "../../edge/src/webhooks/describe.ts";
import { receiveHook } from "../../edge/src/webhooks/inbox.ts";
import { connectionLane } from "../../edge/src/webhooks/lane.ts";
import {
  suggestionStore,
  type SuggestionRecord,
} from "../../edge/src/webhooks/suggestion-store.ts";
import { connectionSweep } from "../../edge/src/webhooks/sweep.ts";
import type { Targets, Words } from "../../edge/src/webhooks/adapter.ts";
import {
  bodyOf,
  fakeLibrary,
  type FakeAsset,
  type FakeHook,
  type FakeLibrary,
  type FakeVendor,
} from "./fake-cms.ts";
import { memoryTables } from "./sqlite.ts";

export interface CmsFlow {
  readonly cms: FakeLibrary;
  readonly connectionId: string;
  /** What the Worker wrote to its log. */
  readonly lines: readonly string[];
  /** What it asked of whom, with which headers. */
  readonly asked: readonly { readonly url: URL; readonly headers: Headers }[];
  now(): number;
  /** Throws what the inbox refuses with. */
  deliver(hook: FakeHook | undefined): Promise<HookAccepted>;
  /** A webhook of the connection's secret is delivered, and what is due then is done. */
  tell(event: Parameters<FakeVendor["hook"]>[0], asset: FakeAsset): Promise<readonly Delivery[]>;
  /** Everything that is due is done. */
  work(): Promise<void>;
  /** Time goes by, and the minute's sweep comes. */
  pass(ms: number): Promise<void>;
  /** Of an asset or of all, the newest first. */
  deliveries(asset?: FakeAsset): Promise<readonly Delivery[]>;
  /** `state reason` of the newest delivery of each. */
  ends(...assets: readonly FakeAsset[]): Promise<string[]>;
  /** Until when nothing is done; 0: no pause. */
  pausedUntil(): Promise<number>;
  changeToken(token: string): Promise<void>;
  /** Where the sweep left the CMS's list. */
  leaveSweepAt(cursor: string): Promise<void>;
  open(): Promise<readonly SuggestionRecord[]>;
  accept(suggestion: SuggestionRecord, edited?: Words): Promise<SuggestionRecord>;
  undo(suggestion: SuggestionRecord): Promise<SuggestionRecord>;
  /** Past every other room: the adapter and its way to the CMS. */
  connected(): Promise<Connected>;
}

const host = "cms.example";
export const maxImageBytes = 10_000;
const caller: Caller = {
  ...{ keyId: "k1", tenant: "ada", scopes: ["connections"], limits: noLimits },
  ...{ fetchAllow: [], noStore: false, isOperator: false },
};

/** What is "seen" in bytes: a digest, so that other bytes are other words. */
export const wordsFor = (bytes: Uint8Array, targets: Targets): Words => {
  const seen = createHash("sha256").update(bytes).digest("hex").slice(0, 8);
  return {
    ...(targets.alt === undefined ? {} : { alt: `Picture ${seen}` }),
    ...(targets.caption === undefined ? {} : { caption: `A caption of ${seen}` }),
    ...(targets.tags === undefined ? {} : { tags: ["picture", seen] }),
  };
};

function look(bytes: Uint8Array, targets: Targets): Described {
  if (Buffer.from(bytes).toString("latin1").startsWith("broken")) {
    throw new AppError("image_corrupt", "The picture cannot be read.");
  }
  return {
    ...{ words: wordsFor(bytes, targets), imageId: `img_${"0".repeat(64)}`, model: "fake" },
    ...{ modelRevision: "1", logProb: -0.1, itm: null, doubt: undefined },
  };
}

/** The way to the CMS, and to whatever else its answers name. */
function wayTo(cms: FakeLibrary, asked: { url: URL; headers: Headers }[]): Fetch {
  return async (url, init) => {
    const request = new Request(url, init);
    asked.push({ url: new URL(url), headers: request.headers });
    const answer = await cms.answer({
      ...{ method: request.method, url: new URL(url), body: await request.text() },
      headers: Object.fromEntries(request.headers),
    });
    if (answer === "unreachable") throw new TypeError("fetch failed");
    if (answer === "hang") throw new DOMException("late", "TimeoutError");
    const { type, bytes } = bodyOf(answer);
    const isBare = answer.body === undefined || answer.status === 204;
    return new Response(isBare ? null : new Uint8Array(bytes), {
      ...{ status: answer.status, headers: { "content-type": type, ...answer.headers } },
    });
  };
}

export const secretNamed = (vendor: FakeVendor, name: string): string =>
  vendor.secretOf?.(name) ??
  `whsec_${Buffer.from(`the secret that is called ${name}`).toString("base64")}`;

export async function cmsFlow(
  vendor: FakeVendor,
  options: Partial<CreateConnectionRequest> = {},
): Promise<CmsFlow> {
  const cms = fakeLibrary(vendor);
  const table = memoryTables();
  const [lines, asked]: [string[], { url: URL; headers: Headers }[]] = [[], []];
  const connectionId = `con_${"1".repeat(32)}`;
  const secret = secretNamed(vendor, "one");
  let at = Date.UTC(2026, 10, 23, 7, 20);
  const now = (): number => at;
  const later: Promise<unknown>[] = [];
  const on = {
    write: (line: string) => void lines.push(line),
    later: (work: Promise<unknown>) => void later.push(work),
  };
  let messages: number[] = [];
  const queue = {
    send: (_: unknown, { delaySeconds = 0 } = {}) =>
      Promise.resolve(void messages.push(at + delaySeconds * 1000)),
  };
  const callerOfKey = () => Promise.resolve(caller);
  const book = connectionBook({ ...{ table, now }, sealer: sealer("a secret of the tests") });
  const deliveries = deliveryStore({ table, now });
  const suggestions = suggestionStore({ table, now });
  const rooms: ConnectedRooms = {
    ...{ book, timeoutMs: 5000, maxImageBytes, maxRedirects: 3 },
    ways: {
      ...{ internet: wayTo(cms, asked), privateNet: undefined, ports: [80, 443] },
      privateOrigins: [],
    },
  };
  const run = connectionLane({
    rooms: {
      ...{ ...rooms, deliveries, suggestions },
      describe: async (_, bytes, targets) => look(bytes, targets),
    },
    ...{ roomsFor: () => ({}) as never, book, deliveries, queue, callerOfKey, now },
    rules: {
      ...{ maxAttempts: 3, firstWaitMs: 1000, maxWaitMs: 60_000, maxPauseMs: 60_000 },
      random: () => 1,
    },
    ...{ atOnce: 4, leaseGraceMs: 1000, sliceMs: 60_000, giveUpMs: 7 * 86_400_000 },
    memory: pictureMemory({ maxBytes: 1e9, waitMs: 1000 }),
    ...{ timeoutMs: 20_000, traceRatio: 0, usagePoints: undefined },
  });
  const sweep = connectionSweep({
    ...{
      connected: rooms,
      table,
      deliveries,
      steps: backfillSteps({ table, now }),
      queue,
      callerOfKey,
      now,
      write: on.write,
    },
    ...{ timeoutMs: 20_000, graceMs: 0, keepMs: 90 * 86_400_000 },
  });
  await book.create(
    ...([connectionId, caller.tenant, caller.keyId] as const),
    createConnectionRequestSchema.parse({
      ...{ name: "site", kind: vendor.kind, base_url: `https://${host}${vendor.basePath ?? ""}` },
      ...{ token: cms.token(), webhook_secret: secret, mode: "apply", sweep_every_s: null },
      ...options,
    }),
  );
  const record = () => book.read(caller.tenant, connectionId);
  const decision = async (suggestion: SuggestionRecord) => ({
    ...{ connection: await record(), suggestion, caller, signal: AbortSignal.timeout(20_000) },
  });
  const path = `/v1/webhooks/${connectionId}`;

  const flow: CmsFlow = {
    ...{ cms, connectionId, lines, asked, now },
    async deliver(hook) {
      if (hook === undefined) throw new Error("the vendor sends no such webhook");
      const url = new URL(path, "https://edge.example");
      const body = new TextEncoder().encode(hook.body);
      const raw = { url, headers: new Headers(hook.headers), body };
      return receiveHook({ book, deliveries, queue, now }, connectionId, raw, on.later);
    },
    async tell(event, asset) {
      await flow.deliver(vendor.hook(event, asset, secret, { path, nowMs: at }));
      await flow.work();
      return flow.deliveries(asset);
    },
    async work() {
      for (let turn = 0; turn < 50; turn++) {
        await Promise.all(later.splice(0));
        const due = messages.filter((dueAt) => dueAt <= at);
        messages = messages.filter((dueAt) => dueAt > at);
        if (due.length === 0) return;
        await run(connectionId, on);
      }
      throw new Error("there is no end of work");
    },
    async pass(ms) {
      at += ms;
      await sweep();
      await flow.work();
    },
    deliveries: async (asset) =>
      (await deliveries.list(connectionId, { assetId: asset?.id }, undefined)).deliveries,
    ends: (...assets) =>
      Promise.all(
        assets.map(async (asset) => {
          const [last] = await flow.deliveries(asset);
          return `${last?.state} ${last?.reason}`;
        }),
      ),
    async pausedUntil() {
      const { paused_until: until } = await record();
      return until > at ? until : 0;
    },
    async changeToken(token) {
      await book.update(caller.tenant, { id: connectionId, token });
      await deliveries.revive(connectionId, "token_refused");
    },
    async leaveSweepAt(cursor) {
      const change = "UPDATE connections SET sweep_cursor = ? WHERE id = ?";
      await table.prepare(change).bind(cursor, connectionId).run();
    },
    async open() {
      const where = { connection: connectionId, state: "open" };
      const listed = await suggestions.list(caller.tenant, where, undefined);
      return Promise.all(listed.suggestions.map(({ id }) => suggestions.read(caller.tenant, id)));
    },
    accept: async (suggestion, { alt, caption, tags } = {}) =>
      acceptSuggestion({ connected: rooms, suggestions }, await decision(suggestion), {
        ...(typeof alt === "string" ? { alt } : {}),
        ...(typeof caption === "string" ? { caption } : {}),
        ...(tags === undefined || tags === null ? {} : { tags: [...tags] }),
      }),
    undo: async (suggestion) =>
      undoSuggestion({ connected: rooms, suggestions }, await decision(suggestion)),
    connected: async () => connect(rooms, await record(), caller, AbortSignal.timeout(20_000)),
  };
  return flow;
}
