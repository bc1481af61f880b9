// Everything that lives as long as an isolate, and the rooms of one request made from it. Only plain
// data is shared between requests: a promise of one request must never be awaited by another.
import { createDecoder } from "@blip2-edge/shared/image/decode";
import { createWebpEncoder } from "@blip2-edge/shared/image/encode-webp";
import { defaultImageLimits } from "@blip2-edge/shared/image/limits";
import { authenticator, type Authenticate } from "./auth/authenticate.ts";
import { keyCaller, type KeyCaller } from "./auth/key-caller.ts";
import { keyBook, type KeyBook } from "./auth/key-book.ts";
import { keyMemory, keyStore, type KeyStore } from "./auth/key-store.ts";
import { sealer, type Sealer } from "./auth/seal.ts";
import { vouched, type Vouched } from "./auth/vouched.ts";
import type { Bindings } from "./bindings.ts";
import { addressBook } from "./cache/addresses.ts";
import { digestBook } from "./cache/digests.ts";
import { markBook } from "./cache/marks.ts";
import { memoryTier } from "./cache/memory-tier.ts";
import { purges, type PurgeMemory, type Purges } from "./cache/purges.ts";
import { resultCache } from "./cache/results.ts";
import { tiers } from "./cache/tiers.ts";
import { claims } from "./claims.ts";
import { parseSettings, type Settings } from "./config.ts";
import type { RequestContext } from "./context.ts";
import { admission } from "./images/admit.ts";
import { canonicaliser } from "./images/canonicalise.ts";
import { codecModules } from "./images/codecs.ts";
import { pictureFetcher, type Fetch } from "./images/fetch.ts";
import { keptPictures } from "./images/kept-pictures.ts";
import { pictureMemory, type PictureMemory } from "./images/picture-memory.ts";
import { pixelStore } from "./images/pixel-store.ts";
import { shrinker } from "./images/shrink.ts";
import { jobRooms, type JobRooms } from "./jobs/job-rooms.ts";
import type { Swept } from "./jobs/sweep.ts";
import type { SweptConnections } from "./webhooks/sweep.ts";
import { webhookRooms, type WebhookRooms } from "./webhooks/webhook-rooms.ts";
import { forgetOld, remember, type Remember } from "./idempotency/remember.ts";
import { captionLinks, type CaptionLinks } from "./links/caption-link.ts";
import { pictureLinks, type PictureLinks } from "./links/picture-link.ts";
import { recordLinks } from "./links/record-links.ts";
import { tokenSealer } from "./links/token.ts";
import { describeError, writeEvent, type WriteLine } from "./log.ts";
import type { Announcements } from "./nodes/announcements.ts";
import type { NodeMembers } from "./nodes/node-members.ts";
import { nodeRooms } from "./nodes/node-rooms.ts";
import { partitionTag } from "./nodes/partition-tag.ts";
import type { MakeAuthority } from "./oauth/authority.ts";
import { grantBook, type GrantBook } from "./oauth/grant-book.ts";
import { grantS, oauthRooms, type OAuthRooms } from "./oauth/oauth-rooms.ts";
import { traceExport, type ExportTrace } from "./observe/trace-export.ts";
import type { Partition } from "./partition.ts";
import { heldPictures } from "./search/held-pictures.ts";
import { indexName } from "./search/image-index.ts";
import { namespaceNames } from "./search/namespace-names.ts";
import type { Rooms } from "./tasks/rooms.ts";
import type { UsagePoints } from "./usage/data-point.ts";
import { collapse } from "./collapse/collapse.ts";
import { keyMeter, type Meter } from "./usage/meter.ts";
import { requestCounter, type CountRequest } from "./usage/rate.ts";

export interface Isolate {
  readonly settings: Readonly<Settings>;
  readonly authenticate: Authenticate;
  readonly noteUse: KeyStore["noteUse"];
  readonly countRequest: CountRequest;
  readonly callerOfKey: KeyCaller;
  readonly pictureLinks: PictureLinks;
  readonly captionLinks: CaptionLinks;
  /**
   * Requests that this Worker makes of itself and whose place in the rate the message that led to them has taken.
   * The object is the proof: nobody outside can send it.
   */
  readonly prepaid: WeakSet<Request>;
  readonly keyBook: KeyBook;
  readonly vouched: Vouched;
  readonly sealer: Sealer;
  readonly grants: GrantBook;
  /** Undefined where OAuth is off. */
  readonly oauth: OAuthRooms | undefined;
  readonly meter: Meter;
  readonly memory: PictureMemory;
  readonly announcements: Announcements;
  readonly nodeMembers: NodeMembers;
  readonly jobs: JobRooms;
  readonly webhooks: WebhookRooms;
  readonly remember: Remember;
  /** What the clock is for: a bounded part each time it strikes. */
  sweep(): Promise<Swept & SweptConnections>;
  readonly usagePoints: UsagePoints | undefined;
  /** Undefined where no collector is. */
  readonly exportTrace: ExportTrace | undefined;
  roomsFor(context: RequestContext): Rooms & { readonly purges: Purges };
}

/**
 * A codec keeps what a photo of 12 megapixels needed: memory that is dropped for each large picture is
 * garbage until the engine collects it, and twenty in a row would be many times what one isolate has.
 */
const maxIdleHeapBytes = 64 * 1024 * 1024;
/** How much longer than its request the lease of an idempotent one lives. */
const requestGraceMs = 30_000;
/** Old answers that one sweep forgets. */
const forgottenPerSweep = 1000;
const catalogKey = "catalog/v1";
const cacheName = "blip2-edge";

/** `fetch` of a service binding, which must be called as its method. */
const through = (binding: Bindings["NODE_NET"]): Fetch | undefined =>
  binding === undefined ? undefined : (url, init) => binding.fetch(url, init);
const globalFetch: Fetch = (url, init) => fetch(url, init);

/** What only workerd can load, and so the entry brings along. */
export interface WorkerdParts {
  readonly makeAuthority?: MakeAuthority;
}

/** Throws when the settings are not usable. */
export function isolate(
  env: Bindings,
  write: WriteLine,
  { makeAuthority }: WorkerdParts = {},
): Isolate {
  const settings = parseSettings(env);
  const decoder = createDecoder(codecModules, { maxIdleHeapBytes });
  const encoder = createWebpEncoder(codecModules.webpEncoder);
  const memory = pictureMemory({
    maxBytes: settings.PICTURE_MEMORY_BYTES,
    waitMs: settings.PICTURE_WAIT_MS,
    idleBytes: decoder.heapBytes,
    spare: { bytes: encoder.heapBytes, drop: encoder.drop },
  });
  const canonicalise = canonicaliser({
    decoder,
    limits: { ...defaultImageLimits, maxBytes: settings.MAX_IMAGE_BYTES },
    shrink:
      env.IMAGES === undefined
        ? undefined
        : shrinker({ images: env.IMAGES, timeoutMs: settings.IMAGES_TIMEOUT_MS }),
  });
  const outside = {
    policy: { ports: settings.FETCH_PORTS, allowPrivate: settings.ALLOW_FETCH },
    internet: globalFetch,
    privateNet: through(env.PRIVATE_NET),
  };
  const fetchPicture = pictureFetcher({
    ...outside,
    maxBytes: settings.MAX_IMAGE_BYTES,
    timeoutMs: settings.FETCH_TIMEOUT_MS,
    maxRedirects: settings.MAX_REDIRECTS,
  });
  const nodes = nodeRooms({
    settings,
    fetch: through(env.NODE_NET) ?? globalFetch,
    registries: env.NODE_REGISTRY,
    backup: {
      read: () => env.RESULTS.get(catalogKey),
      write: (text) => env.RESULTS.put(catalogKey, text),
    },
    tell: ({ url, out }) =>
      writeEvent(
        { event: out === undefined ? "node_back" : "node_out", node: url, because: out },
        write,
      ),
  });
  const tag = partitionTag(settings.PARTITION_SECRET);
  const keys = keyStore({ table: env.DB, memory: keyMemory(), ttlMs: settings.KEY_TTL_MS });
  const grants = grantBook({ table: env.DB, keepMs: grantS * 1000 });
  const meter = keyMeter({ meters: env.KEY_METER });
  const taken = claims();
  const once = collapse({ leases: env.WORK_LEASES, leaseMs: settings.WORK_LEASE_MS });
  const purgeMemory: PurgeMemory = new Map();
  const nearTier = memoryTier({ maxBytes: settings.CACHE_MEMORY_BYTES });
  const tiersFor = ({ event, later }: Pick<RequestContext, "event" | "later">) =>
    tiers({
      memory: nearTier,
      front: {
        match: async (url) => (await caches.open(cacheName)).match(url),
        put: async (url, response) => (await caches.open(cacheName)).put(url, response),
        delete: async (url) => (await caches.open(cacheName)).delete(url),
      },
      back: env.RESULTS,
      ttlS: settings.RESULT_TTL_S,
      later,
      onFault: (tier, error) => {
        event[`cache_${tier}_fault`] = describeError(error);
      },
    });
  const seals = sealer(settings.PARTITION_SECRET);
  const [linkSecret = settings.PARTITION_SECRET, ...olderSecrets] = settings.LINK_SECRETS;
  const tokens = tokenSealer([linkSecret, ...olderSecrets]);
  const links = pictureLinks(tokens);
  const callerOfKey = keyCaller(keys);

  const made: Isolate = {
    settings,
    memory,
    announcements: nodes.announcements,
    nodeMembers: nodes.members,
    usagePoints: env.USAGE_POINTS,
    exportTrace:
      settings.OTEL_EXPORTER_OTLP_ENDPOINT === undefined
        ? undefined
        : traceExport({
            endpoint: settings.OTEL_EXPORTER_OTLP_ENDPOINT,
            headers: settings.OTEL_EXPORTER_OTLP_HEADERS,
            fetch: through(env.TRACE_NET) ?? globalFetch,
            tell: (event) => writeEvent(event, write),
          }),
    authenticate: authenticator({
      keys,
      operators: settings.OPERATOR_KEYS,
      acceptForeignKeys: settings.ACCEPT_FOREIGN_KEYS,
    }),
    noteUse: keys.noteUse,
    countRequest: requestCounter(),
    callerOfKey,
    pictureLinks: links,
    captionLinks: captionLinks(tokens),
    prepaid: new WeakSet(),
    keyBook: keyBook({ table: env.DB, changed: keys.forget }),
    vouched: vouched(),
    sealer: seals,
    grants,
    oauth: oauthRooms({
      ...{ env, settings, keys, grants, makeAuthority },
      ...{ policy: outside.policy, internet: globalFetch },
    }),
    meter,
    jobs: jobRooms({
      table: env.DB,
      store: env.JOBS,
      queue: env.JOB_QUEUE,
      ...{ settings, memory, usagePoints: env.USAGE_POINTS, ...outside },
      callerOfKey,
      sealer: seals,
      roomsFor: (context) => made.roomsFor(context),
    }),
    webhooks: webhookRooms({
      ...{ table: env.DB, queue: env.JOB_QUEUE, settings, memory, write },
      ...{ usagePoints: env.USAGE_POINTS, callerOfKey: keyCaller(keys), sealer: seals },
      ...{ internet: outside.internet, privateNet: outside.privateNet },
      roomsFor: (context) => made.roomsFor(context),
    }),
    remember: remember({
      table: env.DB,
      sealer: seals,
      keepMs: settings.IDEMPOTENCY_TTL_S * 1000,
      leaseMs: settings.REQUEST_TIMEOUT_MS + requestGraceMs,
    }),
    async sweep() {
      const swept = { ...(await made.jobs.sweep()), ...(await made.webhooks.sweep()) };
      await forgetOld(env.DB, Date.now(), forgottenPerSweep);
      await grants.forgetOld(forgottenPerSweep);
      return swept;
    },
    roomsFor: ({ event, hops, later, origin, startedAt: at }) => {
      const forgotten = purges({
        table: env.DB,
        memory: purgeMemory,
        claims: taken,
        ttlMs: settings.PURGE_TTL_MS,
        later,
        onFault: (error) => {
          event["purges_fault"] = describeError(error);
        },
      });
      const kept = { tiers: tiersFor({ event, later }), purges: forgotten, at };
      const marks = markBook(kept);
      const purgedAt = async (own: Partition, imageId: string): Promise<number> =>
        (await forgotten.of(own))({ imageId });
      return {
        admit: admission(outside.policy),
        fetchPicture,
        canonicalise,
        purges: forgotten,
        pixels: pixelStore({ store: env.PIXELS, at, purgedAt }),
        kept: keptPictures({ store: env.PIXELS, encode: encoder.encode, at, purgedAt }),
        marks,
        digests: digestBook(kept),
        addresses: addressBook(kept),
        claims: taken,
        pictureMemory: memory,
        askNode: nodes.askNode,
        meter,
        partitionTag: tag,
        models: nodes.modelsFor({
          time: (work) => hops.time("catalog", work),
          later,
          onFault: (why) => {
            event["catalog_fault"] = why;
          },
        }),
        results: resultCache(kept),
        collapse: once,
        indexOf: (tenant, namespace) => env.NAMESPACE_INDEX.getByName(indexName(tenant, namespace)),
        namespaces: namespaceNames(env.DB),
        held: heldPictures({ store: env.PIXELS, results: env.RESULTS, purges: forgotten, marks }),
        linksOf: recordLinks({ links, ttlS: settings.LINK_TTL_S, origin, purgedAt }),
        sealer: seals,
      };
    },
  };
  return made;
}
