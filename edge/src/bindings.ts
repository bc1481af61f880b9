// Names and types of everything the platform hands to the Worker; read in app.ts and config.ts only.
// The local stack (infra/start/worker.ts) binds the same names.
import type { ImagesBinding } from "./images/shrink.ts";
import type { JobQueue } from "./jobs/messages.ts";
import type { ConnectionQueue } from "./webhooks/messages.ts";
import type { D1Database, Fetcher, KVNamespace, R2Bucket } from "@cloudflare/workers-types";
import type { ImageIndexes } from "./search/image-index.ts";
import type { VectorIndex } from "./search/vectorize.ts";
import type { UsagePoints } from "./usage/data-point.ts";
import type { Registries } from "./nodes/registries.ts";
import type { KeyMeters } from "./usage/meter.ts";
import type { WorkLeases } from "./collapse/collapse.ts";

export interface Bindings {
  /** API keys, jobs, connections (migrations/). */
  readonly DB: D1Database;
  /** One object for each API key: quotas, concurrency, usage (class KeyMeter). */
  readonly KEY_METER: KeyMeters;
  /** One object for each piece of work that is under way (class WorkLease). */
  readonly WORK_LEASES: WorkLeases;
  /** One object with which nodes announce themselves (class NodeRegistry). */
  readonly NODE_REGISTRY: Registries;
  /** One object for each namespace of each tenant (class NamespaceIndex). */
  readonly NAMESPACE_INDEX: ImageIndexes;
  /** Results of inference and the last known catalogue. */
  readonly RESULTS: KVNamespace;
  /** Clients, codes and hashes of tokens of OAuth; needed where the setting OAUTH is on. */
  readonly OAUTH_KV?: KVNamespace;
  /** Canonical pixels, per partition. */
  readonly PIXELS: R2Bucket;
  /** Requests and results of jobs. */
  readonly JOBS: R2Bucket;
  /** Hints that a job, or a connection's inbox, has something to do. */
  readonly JOB_QUEUE: JobQueue & ConnectionQueue;
  /** Cloudflare Images, for pictures that the exact path does not take; optional. */
  readonly IMAGES?: ImagesBinding;
  /** Cloudflare Vectorize, for the candidates of namespaces that ask for it; optional. Read in search/namespace-index.ts. */
  readonly VECTORIZE?: VectorIndex;
  /** Workers Analytics Engine: a data point for each request; optional. */
  readonly USAGE_POINTS?: UsagePoints;
  /** The way to the nodes; without it they are reached by the global `fetch`. */
  readonly NODE_NET?: Fetcher;
  /** The way to the collector of spans; without it the global `fetch`. */
  readonly TRACE_NET?: Fetcher;
  /** The way to the origins that ALLOW_FETCH names, and to nothing else; local stacks only. */
  readonly PRIVATE_NET?: Fetcher;

  // Variables and secrets, all text: see config.ts for their meaning and defaults.
  readonly NODE_URL?: string;
  readonly NODE_KEYS?: string;
  readonly PARTITION_SECRET: string;
  readonly [setting: string]: unknown;
}
