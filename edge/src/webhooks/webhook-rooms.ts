// Everything about connections that lives as long as an isolate, put together from what the platform binds.
import type { KeyCaller } from "../auth/key-caller.ts";
import type { Sealer } from "../auth/seal.ts";
import type { Settings } from "../config.ts";
import type { AuthenticatedContext } from "../context.ts";
import type { Fetch } from "../images/fetch.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import type { JobTables } from "../jobs/tables.ts";
import type { WriteLine } from "../log.ts";
import type { Rooms } from "../tasks/rooms.ts";
import type { UsagePoints } from "../usage/data-point.ts";
import { backfillRunner, type RunBackfill } from "./backfill.ts";
import { backfillSteps } from "./backfill-steps.ts";
import { backfillStore, type BackfillStore } from "./backfill-store.ts";
import type { WaysOut } from "./cms-fetch.ts";
import type { ConnectedRooms } from "./connected.ts";
import { connectionBook, type ConnectionBook } from "./connection-book.ts";
import { deliveryStore, type DeliveryStore } from "./delivery-store.ts";
import { connectionLane, type RunConnection } from "./lane.ts";
import type { ConnectionQueue } from "./messages.ts";
import { suggestionStore, type SuggestionStore } from "./suggestion-store.ts";
import { connectionSweep, type SweptConnections } from "./sweep.ts";

export interface WebhookRoomsOptions {
  readonly table: JobTables;
  readonly queue: ConnectionQueue;
  readonly settings: Readonly<Settings>;
  readonly callerOfKey: KeyCaller;
  readonly sealer: Sealer;
  readonly memory: PictureMemory;
  readonly roomsFor: (context: AuthenticatedContext) => Rooms;
  readonly usagePoints: UsagePoints | undefined;
  readonly internet: Fetch;
  readonly privateNet: Fetch | undefined;
  readonly write: WriteLine;
}

export interface WebhookRooms {
  readonly table: JobTables;
  readonly book: ConnectionBook;
  readonly deliveries: DeliveryStore;
  readonly suggestions: SuggestionStore;
  readonly backfills: BackfillStore;
  readonly queue: ConnectionQueue;
  readonly callerOfKey: KeyCaller;
  readonly ways: WaysOut;
  readonly connected: ConnectedRooms;
  readonly now: () => number;
  readonly run: RunConnection;
  readonly backfill: RunBackfill;
  readonly sweep: () => Promise<SweptConnections>;
}

const longestWaitMs = 3_600_000;
const longestPauseMs = 300_000;
const sweepGraceMs = 2_000;
/** Of a library in one go: a Worker that dies holds up its backfill for little longer. */
const longestListingMs = 15_000;

export function webhookRooms(options: WebhookRoomsOptions): WebhookRooms {
  const { table, queue, settings, callerOfKey, sealer, internet, privateNet, write } = options;
  const now = Date.now;
  const book = connectionBook({ table, sealer });
  const deliveries = deliveryStore({ table });
  const suggestions = suggestionStore({ table });
  const backfills = backfillStore({ table });
  const steps = backfillSteps({ table });
  const ways: WaysOut = {
    ...{ internet, privateNet, ports: settings.FETCH_PORTS },
    privateOrigins: [...settings.ALLOW_FETCH, ...settings.CMS_PRIVATE_ORIGINS],
  };
  const connected: ConnectedRooms = {
    ...{ book, ways },
    timeoutMs: settings.CMS_TIMEOUT_MS,
    maxImageBytes: settings.MAX_IMAGE_BYTES,
    maxRedirects: settings.MAX_REDIRECTS,
  };
  const rules = {
    maxAttempts: settings.CMS_ATTEMPTS,
    firstWaitMs: settings.CMS_RETRY_WAIT_MS,
    maxWaitMs: longestWaitMs,
    maxPauseMs: longestPauseMs,
  };
  return {
    ...{
      backfills,
      table,
      book,
      deliveries,
      suggestions,
      queue,
      callerOfKey,
      ways,
      connected,
      now,
    },
    run: connectionLane({
      rooms: { ...connected, deliveries, suggestions },
      ...{ roomsFor: options.roomsFor, book, deliveries, queue, callerOfKey, now },
      rules,
      atOnce: settings.CMS_CONCURRENCY,
      leaseGraceMs: settings.JOB_LEASE_GRACE_MS,
      sliceMs: settings.JOB_SLICE_MS,
      giveUpMs: settings.CMS_GIVE_UP_S * 1000,
      memory: options.memory,
      timeoutMs: settings.REQUEST_TIMEOUT_MS,
      traceRatio: settings.TRACE_SAMPLE_RATIO,
      usagePoints: options.usagePoints,
    }),
    backfill: backfillRunner({
      ...{ steps, backfills, book, connected, queue, callerOfKey, rules, now },
      timeoutMs: settings.CMS_TIMEOUT_MS,
      sliceMs: Math.min(settings.JOB_SLICE_MS, longestListingMs),
    }),
    sweep: connectionSweep({
      ...{ connected, table, deliveries, steps, queue, callerOfKey, write, now },
      timeoutMs: settings.REQUEST_TIMEOUT_MS,
      graceMs: sweepGraceMs,
      keepMs: settings.CMS_KEEP_S * 1000,
    }),
  };
}
