// Whether a deployed Worker does what it is for: a few requests to its public address, from the outside. Nothing of
// Cloudflare's API is used here.
import { createClient, type Client } from "@blip2-edge/shared/client";
import { mcpPath } from "@blip2-edge/shared/contracts/mcp";
import { AppError } from "@blip2-edge/shared/problem";
import { DeployError } from "./deploy-error.ts";

/** Where the Worker answers, and how it is asked. */
export interface Live {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly signal: AbortSignal;
}

export interface SmokeLine {
  readonly check: string;
  readonly state: "ok" | "waits" | "wrong";
  readonly found: string;
}

export const clientAt = ({ url, fetch, sleep }: Live, key: string): Client =>
  createClient({ url, key, fetch, sleep: async (ms) => void (await sleep(ms)) });

/** A new name under workers.dev, or a certificate for a new host, takes a while. */
const patience = { attempts: 60, waitMs: 3_000 } as const;
const requestTimeoutMs = 30_000;

const request = (live: Live, path: string, init: RequestInit = {}): Promise<Response> =>
  live.fetch(new URL(path, live.url), {
    ...init,
    signal: AbortSignal.any([live.signal, AbortSignal.timeout(requestTimeoutMs)]),
  });

/** Throws DeployError when it does not within some minutes. */
export async function untilItAnswers(live: Live): Promise<void> {
  let found = "";
  for (let attempt = 0; attempt < patience.attempts; attempt++) {
    if (attempt > 0) await live.sleep(patience.waitMs);
    live.signal.throwIfAborted();
    try {
      const response = await request(live, "/healthz");
      found = `${response.status} ${(await response.text()).slice(0, 300)}`;
      if (response.ok && found.includes('"ok"')) return;
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error;
      found = error instanceof Error ? error.message : String(error);
    }
  }
  throw new DeployError(
    `${live.url}/healthz does not answer as it should: ${found}`,
    "A new host name may take longer: run the same command again. If it answers 500, npx wrangler tail shows " +
      "start_failed with every fault; npm run deploy -- rollback goes back to the version before.",
  );
}

const wrong = (check: string, found: string): SmokeLine => ({ check, state: "wrong", found });
const ok = (check: string, found: string): SmokeLine => ({ check, state: "ok", found });

async function describesItself(live: Live): Promise<SmokeLine> {
  const check = "openapi";
  const response = await request(live, "/openapi.json");
  const document: unknown = await response.json().catch(() => undefined);
  const { openapi, paths } = (document ?? {}) as { openapi?: unknown; paths?: object };
  return typeof openapi === "string" && paths !== undefined
    ? ok(check, `OpenAPI ${openapi}, ${Object.keys(paths).length} paths`)
    : wrong(check, `/openapi.json answers ${response.status} and no document`);
}

async function refusesStrangers(live: Live): Promise<SmokeLine> {
  const { status } = await request(live, "/v1/models");
  return (status === 401 ? ok : wrong)("no key", `/v1/models answers ${status}`);
}

async function servesAgents(live: Live): Promise<SmokeLine> {
  const check = "agents";
  const { status } = await request(live, mcpPath, { method: "POST", body: "{}" });
  if (status === 401) return ok(check, `${mcpPath} answers under this host, and wants a key`);
  const why = status === 403 ? "; MCP_HOSTS lacks this host" : "";
  return wrong(check, `${mcpPath} answers ${status}${why}`);
}

async function describesPictures(
  live: Live,
  key: string,
  picture: Uint8Array<ArrayBuffer>,
): Promise<SmokeLine[]> {
  const client = clientAt(live, key);
  const { signal } = live;
  const { keys } = await client.keyList({}, { signal });
  const lines = [ok("admin key", `it sees ${keys.length} ${keys.length === 1 ? "key" : "keys"}`)];
  const noNode = (): SmokeLine => ({ check: "caption", state: "waits", found: "no node yet" });
  try {
    const { data } = await client.models({ signal });
    if (!data.some(({ abilities }) => abilities.includes("caption"))) return [...lines, noNode()];
    const { text } = await client.caption({ image: { bytes: picture } }, { signal });
    return [...lines, ok("caption", `"${text}"`)];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const none = ["node_unavailable", "not_ready", "model_not_found"].includes(error.code);
    return [...lines, none ? noNode() : wrong("caption", `${error.detail} (${error.code})`)];
  }
}

/** All checks, whichever fails. `key` is an admin key, where one is known here. */
export async function smoke(
  live: Live,
  key: string | undefined,
  picture: Uint8Array<ArrayBuffer>,
): Promise<SmokeLine[]> {
  await untilItAnswers(live);
  const lines: SmokeLine[] = [ok("health", `${live.url} answers`)];
  const checks: readonly (() => Promise<SmokeLine | SmokeLine[]>)[] = [
    () => describesItself(live),
    () => refusesStrangers(live),
    () => servesAgents(live),
    ...(key === undefined ? [] : [() => describesPictures(live, key, picture)]),
  ];
  for (const check of checks) {
    try {
      lines.push(...[await check()].flat());
    } catch (error) {
      live.signal.throwIfAborted();
      const found = error instanceof AppError ? `${error.detail} (${error.code})` : String(error);
      lines.push(wrong("request", found));
    }
  }
  return lines;
}
