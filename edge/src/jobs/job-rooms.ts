// Everything about jobs that lives as long as an isolate, put together from what the platform binds.
import type { AppError } from "@blip2-edge/shared/problem";
import type { KeyCaller } from "../auth/key-caller.ts";
import type { Sealer } from "../auth/seal.ts";
import type { Settings } from "../config.ts";
import type { AuthenticatedContext } from "../context.ts";
import type { Fetch } from "../images/fetch.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import type { UrlPolicy } from "../images/url-guard.ts";
import type { Rooms } from "../tasks/rooms.ts";
import type { UsagePoints } from "../usage/data-point.ts";
import { hookStore } from "./hook-store.ts";
import { jobFiles, type FileStore, type JobFiles } from "./job-files.ts";
import { jobStore, type JobStore } from "./job-store.ts";
import { jobLane, type Invocation, type RunLane } from "./lane.ts";
import type { JobQueue } from "./messages.ts";
import { jobSweep, type Swept } from "./sweep.ts";
import type { JobTables } from "./tables.ts";
import { webhookSender } from "./webhook.ts";
import { workStore } from "./work-store.ts";

export interface JobRoomsOptions {
  readonly table: JobTables;
  readonly store: FileStore;
  readonly queue: JobQueue;
  readonly settings: Readonly<Settings>;
  readonly callerOfKey: KeyCaller;
  readonly sealer: Sealer;
  readonly memory: PictureMemory;
  readonly roomsFor: (context: AuthenticatedContext) => Rooms;
  readonly usagePoints: UsagePoints | undefined;
  readonly policy: UrlPolicy;
  readonly internet: Fetch;
  readonly privateNet: Fetch | undefined;
}

export interface JobRooms {
  readonly jobs: JobStore;
  readonly files: JobFiles;
  readonly queue: JobQueue;
  readonly sealer: Sealer;
  readonly policy: UrlPolicy;
  readonly internet: Fetch;
  readonly privateNet: Fetch | undefined;
  readonly now: () => number;
  /** Ends a job that is not over, drops its pictures, and has its webhook told. */
  end(jobId: string, how: "canceled" | "expired", why?: AppError): Promise<void>;
  readonly runLane: RunLane;
  readonly tellWebhook: (jobId: string, on: Invocation) => Promise<void>;
  readonly sweep: () => Promise<Swept>;
}

const longestWaitMs = 300_000;
/** After so long a job that nobody works on has lost its message. */
const sweepGraceMs = 2_000;

export function jobRooms(options: JobRoomsOptions): JobRooms {
  const { table, queue, settings, callerOfKey, sealer, policy, internet, privateNet } = options;
  const now = Date.now;
  const keepMs = settings.JOB_KEEP_S * 1000;
  const files = jobFiles(options.store);
  const jobs = jobStore({ table, keepMs, maxOpen: settings.JOB_MAX_OPEN });
  const hooks = hookStore(table);
  const firstWaitMs = settings.JOB_RETRY_WAIT_MS;
  const work = workStore({ table, keepMs, pauseMs: firstWaitMs, maxPauseMs: longestWaitMs });

  const dropFile = async (tenant: string, jobId: string): Promise<void> => {
    await files.dropItems(tenant, jobId);
    await work.fileDropped(jobId);
  };
  const end: JobRooms["end"] = async (jobId, how, why) => {
    await jobs.end(jobId, how, why);
    const job = await jobs.find(jobId);
    if (job === undefined) return;
    await dropFile(job.tenant, jobId);
    if (job.hook_state === "pending") await queue.send({ kind: "hook", job: jobId });
  };

  return {
    ...{ jobs, files, queue, sealer, policy, internet, privateNet, now, end },
    runLane: jobLane({
      ...{ jobs: { find: jobs.find, end }, work, files, dropFile, queue, callerOfKey },
      roomsFor: options.roomsFor,
      memory: options.memory,
      rules: {
        maxAttempts: settings.JOB_ITEM_ATTEMPTS,
        firstWaitMs,
        maxWaitMs: longestWaitMs,
        maxPauseMs: longestWaitMs,
      },
      perJob: settings.JOB_CONCURRENCY,
      overall: settings.JOB_CONCURRENCY_OVERALL,
      itemTimeoutMs: settings.REQUEST_TIMEOUT_MS,
      leaseGraceMs: settings.JOB_LEASE_GRACE_MS,
      sliceMs: settings.JOB_SLICE_MS,
      maxImageBytes: settings.MAX_IMAGE_BYTES,
      traceRatio: settings.TRACE_SAMPLE_RATIO,
      usagePoints: options.usagePoints,
    }),
    tellWebhook: webhookSender({
      ...{ hooks, callerOfKey, sealer, policy, internet, privateNet },
      timeoutMs: settings.WEBHOOK_TIMEOUT_MS,
      waitsMs: settings.WEBHOOK_WAITS_S.map((seconds) => seconds * 1000),
    }),
    sweep: jobSweep({ jobs, work, files, dropFile, hooks, queue, end, graceMs: sweepGraceMs }),
  };
}
