// The Worker's entry: one app per isolate, made with the first request's bindings.
import { problemResponse } from "@blip2-edge/shared/problem";
import type { ExecutionContext } from "@cloudflare/workers-types";
import { createApp } from "./app.ts";
import type { Bindings } from "./bindings.ts";
import { isolate } from "./isolate.ts";
import { describeError, writeEvent } from "./log.ts";

export { NodeRegistry } from "./nodes/node-registry.ts";
export { KeyMeter } from "./usage/key-meter.ts";

const write = (line: string): void => console.log(line);
let app: ReturnType<typeof createApp> | undefined;

export default {
  fetch(request: Request, env: Bindings, context: ExecutionContext): Response | Promise<Response> {
    try {
      app ??= createApp(isolate(env, write), write);
    } catch (error) {
      // Settings that are not usable: the log names them all, the world learns nothing.
      writeEvent({ event: "start_failed", cause: describeError(error) }, write);
      return problemResponse(error);
    }
    return app.fetch(request, env, context);
  },
};
