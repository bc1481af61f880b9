// The Worker's entry: one app per isolate, made with the first event's bindings. Requests, queue messages and
// the clock come in here.
import { problemResponse } from "@blip2-edge/shared/problem";
import type {
  ExecutionContext,
  MessageBatch,
  ScheduledController,
} from "@cloudflare/workers-types";
import { createApp } from "./app.ts";
import type { Bindings } from "./bindings.ts";
import { isolate, type Isolate } from "./isolate.ts";
import { takeJobMessages } from "./jobs/take-messages.ts";
import { describeError, writeEvent } from "./log.ts";
import { cloudflareAuthority } from "./oauth/cloudflare-authority.ts";
import { isAboutConnection, takeConnectionMessages } from "./webhooks/take-messages.ts";

export { NodeRegistry } from "./nodes/node-registry.ts";
export { NamespaceIndex } from "./search/namespace-index.ts";
export { KeyMeter } from "./usage/key-meter.ts";
export { WorkLease } from "./collapse/work-lease.ts";

const write = (line: string): void => console.log(line);
let made: { readonly isolate: Isolate; readonly app: ReturnType<typeof createApp> } | undefined;

/** Throws when the settings are not usable: the log names them all. */
function rooms(env: Bindings): NonNullable<typeof made> {
  if (made !== undefined) return made;
  try {
    const own = isolate(env, write, { makeAuthority: cloudflareAuthority });
    made = { isolate: own, app: createApp(own, write) };
    return made;
  } catch (error) {
    writeEvent({ event: "start_failed", cause: describeError(error) }, write);
    throw error;
  }
}

export default {
  fetch(request: Request, env: Bindings, context: ExecutionContext): Response | Promise<Response> {
    let app: ReturnType<typeof createApp>;
    try {
      app = rooms(env).app;
    } catch (error) {
      // The world learns nothing of it.
      return problemResponse(error);
    }
    return app.fetch(request, env, context);
  },

  async queue(batch: MessageBatch, env: Bindings, context: ExecutionContext): Promise<void> {
    const later = (work: Promise<unknown>): void => context.waitUntil(work);
    const { jobs, webhooks } = rooms(env).isolate;
    const [ours, others] = [true, false].map((is) =>
      batch.messages.filter((message) => isAboutConnection(message) === is),
    );
    await takeConnectionMessages(webhooks, ours ?? [], { write, later });
    await takeJobMessages(jobs, others ?? [], { write, later });
  },

  async scheduled(_: ScheduledController, env: Bindings): Promise<void> {
    const swept = await rooms(env).isolate.sweep();
    if (Object.values(swept).some((count) => count > 0)) {
      writeEvent({ event: "sweep", at: new Date().toISOString(), ...swept }, write);
    }
  },
};
