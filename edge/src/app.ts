// The Worker's HTTP face, built from the route table: what the table names is served, and nothing else.
// Every failure leaves through `onError` as problem+json.
import { openAiError } from "@blip2-edge/shared/contracts/openai";
import { AppError, problemResponse, retryAfterOf, type Problem } from "@blip2-edge/shared/problem";
import { routeList, routes, type RouteId } from "@blip2-edge/shared/routes";
import { agentRoutes, type AgentRouteId } from "@blip2-edge/shared/routes/agents";
import { hookRoutes, type HookRouteId } from "@blip2-edge/shared/routes/hooks";
import { nodeRoutes, type NodeRouteId } from "@blip2-edge/shared/routes/nodes";
import { oauthRoutes, type OAuthRouteId } from "@blip2-edge/shared/routes/oauth";
import { Hono, type Handler, type MiddlewareHandler } from "hono";
import type { Env } from "./env.ts";
import type { Isolate } from "./isolate.ts";
import type { WriteLine } from "./log.ts";
import { agentOrKey } from "./middleware/agent-or-key.ts";
import { requireKey, type WhoAsks } from "./middleware/authenticate.ts";
import { requestContext } from "./middleware/request.ts";
import { takeSignedLink } from "./middleware/signed-link.ts";
import { cachePurgeRoute } from "./routes/cache.ts";
import { captionByUrlRoute } from "./routes/caption-by-url.ts";
import { captionLinkRoute } from "./routes/caption-link.ts";
import { backfillRoutes } from "./routes/backfills.ts";
import { connectionRoutes } from "./routes/connections.ts";
import { documentRoutes } from "./routes/documents.ts";
import { embedRoute } from "./routes/embed.ts";
import { grantRoutes } from "./routes/grants.ts";
import { imageBatchRoute } from "./routes/image-batch.ts";
import { imageRoutes } from "./routes/images.ts";
import { jobRoutes } from "./routes/jobs.ts";
import { keyRoutes } from "./routes/keys.ts";
import { heartbeatRoute } from "./routes/heartbeat.ts";
import { hookRoute } from "./routes/hook.ts";
import { healthRoute, modelRoutes } from "./routes/models.ts";
import { mcpGuard, mcpRoute } from "./routes/mcp.ts";
import { nodeRoutesOf } from "./routes/nodes.ts";
import { oauthRouteHandlers } from "./routes/oauth.ts";
import { openAiRoutes } from "./routes/openai.ts";
import { pictureLinkRoute } from "./routes/picture-link.ts";
import { pictureRoute } from "./routes/picture-route.ts";
import { playgroundRoute } from "./routes/playground.ts";
import { reviewRoutes } from "./routes/review.ts";
import { searchRoute } from "./routes/search.ts";
import { suggestionRoutes } from "./routes/suggestions.ts";
import { usageRoute } from "./routes/usage.ts";
import { answer } from "./tasks/answer.ts";
import { caption } from "./tasks/caption.ts";
import { classify } from "./tasks/classify.ts";
import { match } from "./tasks/match.ts";

export function createApp(isolate: Isolate, write: WriteLine): Hono<Env> {
  const { settings, memory, usagePoints, exportTrace } = isolate;
  const handlers: Readonly<
    Record<RouteId | NodeRouteId | AgentRouteId | HookRouteId | OAuthRouteId, Handler<Env>>
  > = {
    caption: pictureRoute(isolate, routes.caption.input.options, caption),
    captionByUrl: captionByUrlRoute(isolate),
    captionLink: captionLinkRoute(isolate),
    vqa: pictureRoute(isolate, routes.vqa.input.options, answer),
    match: pictureRoute(isolate, routes.match.input.options, match),
    classify: pictureRoute(isolate, routes.classify.input.options, classify),
    embed: embedRoute(isolate),
    ...modelRoutes(isolate),
    ...openAiRoutes(isolate),
    ...jobRoutes(isolate),
    ...imageRoutes(isolate),
    imageBatch: imageBatchRoute(isolate),
    ...connectionRoutes(isolate),
    ...backfillRoutes(isolate),
    ...suggestionRoutes(isolate),
    ...reviewRoutes(isolate),
    webhook: hookRoute(isolate),
    search: searchRoute(isolate),
    ...keyRoutes(isolate),
    ...grantRoutes(isolate),
    ...nodeRoutesOf(isolate),
    ...oauthRouteHandlers(isolate),
    usage: usageRoute(isolate),
    cachePurge: cachePurgeRoute(isolate),
    health: healthRoute,
    pictureLink: pictureLinkRoute(isolate),
    ...documentRoutes(),
    heartbeat: heartbeatRoute(isolate),
    playground: playgroundRoute,
    reviewPage: playgroundRoute,
    // Its tools ask this very app, as anyone would.
    mcp: mcpRoute(isolate, (request, c) =>
      Promise.resolve(app.fetch(request, c.env, c.executionCtx)),
    ),
  };
  const app = new Hono<Env>();
  app.use(
    requestContext({
      timeoutMs: settings.REQUEST_TIMEOUT_MS,
      traceRatio: settings.TRACE_SAMPLE_RATIO,
      ...{ write, memory, usagePoints, exportTrace },
    }),
  );
  for (const { id, path } of [agentRoutes.mcp, ...Object.values(oauthRoutes)]) {
    app.use(path, mcpGuard(settings, id));
  }
  const needsKey = requireKey(isolate);
  const whoAsksAt: { readonly [id: string]: WhoAsks | undefined } = { mcp: agentOrKey(isolate) };
  const signedLink = takeSignedLink(isolate);
  for (const route of served) {
    const { id, method, path, scope } = route;
    // First of all, so that the log names the route of what is refused too.
    const named: MiddlewareHandler<Env> = async (c, next) => {
      c.get("context").event["route"] = id;
      await next();
    };
    const at = path.replaceAll(/\{(\w+)\}/g, ":$1");
    if (scope === null) app.on(method, at, named, handlers[id]);
    else {
      const signs = "signable" in route ? [signedLink] : [];
      app.on(method, at, named, ...signs, needsKey(scope, whoAsksAt[id]), handlers[id]);
    }
  }

  // Hono lets an error out of this handler pass the middleware by, so it answers itself.
  app.notFound((c) => {
    const error = unserved(c.req.path);
    c.get("context").event["problem"] = error.code;
    return problemResponse(error, extraHeaders(error, c.req.path));
  });
  app.onError((error, c) => {
    const { path } = c.req;
    const headers = extraHeaders(error, path, c.get("challenge"));
    return routeList.some(({ dialect, path: at }) => dialect === "openai" && isAt(at, path))
      ? problemResponse(error, { ...headers, ...shouldRetry(error) }, forOpenAi)
      : problemResponse(error, headers);
  });
  return app;
}

const forOpenAi = (problem: Problem) => ({ error: openAiError(problem) });

/** Longer than this no client is told to wait within a call. */
const maxRetryS = 60;
const served = [
  ...Object.values(routes),
  ...Object.values(nodeRoutes),
  ...Object.values(agentRoutes),
  ...Object.values(oauthRoutes),
  ...Object.values(hookRoutes),
];

/** A field in a route's path stands for anything but a slash. */
const isAt = (path: string, at: string): boolean =>
  new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(at);
const allowedAt = (at: string): string[] =>
  served.filter(({ path }) => isAt(path, at)).map(({ method }) => method);

function unserved(path: string): AppError {
  const allowed = allowedAt(path);
  return allowed.length === 0
    ? new AppError("not_found", "There is nothing at this path. The API begins at /v1/.")
    : new AppError("method_not_allowed", `Use ${allowed.join(" or ")} here.`);
}

/** OpenAI's clients try again after any 429 or 5xx, within seconds, unless they are told not to. */
function shouldRetry(error: Error): Record<string, string> {
  const afterS = error instanceof AppError ? retryAfterOf(error) : undefined;
  return { "x-should-retry": String(afterS !== undefined && afterS <= maxRetryS) };
}

/** What RFC 9110 asks of a 401 (11.6.1) and a 405 (15.5.6). */
function extraHeaders(error: Error, path: string, challenge?: string): Record<string, string> {
  if (!(error instanceof AppError)) return {};
  if (challenge !== undefined) return { "www-authenticate": challenge };
  if (error.code === "unauthorized") return { "www-authenticate": 'Bearer realm="blip2-edge"' };
  if (error.code === "method_not_allowed") return { allow: allowedAt(path).join(", ") };
  return {};
}
