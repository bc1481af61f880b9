// What the routes take out of Hono's context and the settings.
import type { Context } from "hono";
import type { Settings } from "../config.ts";
import type { AuthenticatedContext } from "../context.ts";
import type { Env } from "../env.ts";
import type { BodyLimits } from "./read-body.ts";

/** The request's context with its caller; only behind `requireKey`. */
export const callerContext = (c: Context<Env>): AuthenticatedContext => ({
  ...c.get("context"),
  caller: c.get("caller"),
});

export const bodyLimits = (settings: Readonly<Settings>): BodyLimits => ({
  maxBytes: settings.MAX_BODY_BYTES,
  timeoutMs: settings.BODY_TIMEOUT_MS,
});
