// A Worker as far as a deployment talks to one, in front of what the stand-in for Cloudflare's API holds: it answers while
// a version is deployed, with that version's secrets and variables, and makes keys in its database.
import { randomUUID } from "node:crypto";
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import type { CloudflareStandIn } from "./cloudflare-stand-in.ts";
import { liveVersion } from "./cloudflare-stand-in-workers.ts";

const limits = {
  ...{ requests_per_minute: null, inferences_per_day: null, inferences_per_month: null },
  concurrency: null,
};

export function deployedWorker(standIn: CloudflareStandIn) {
  const answers = new Map<string, string>();
  const refuse = (code: "unauthorized" | "forbidden" | "not_found" | "node_unavailable") =>
    problemResponse(new AppError(code, `It is ${code}.`));

  const workerAt = (host: string): string | undefined => {
    const [name = "", ...zone] = host.split(".");
    const own = standIn.workers.domains.get(host);
    if (own !== undefined) return own;
    const isOn = standIn.workers.scripts.get(name)?.onWorkersDev === true;
    return isOn && zone.join(".") === `${standIn.workers.subdomain}.workers.dev` ? name : undefined;
  };

  const worker = {
    /** What its nodes serve, when there are any. */
    models: [] as string[],
    /** Makes it answer nothing but 500. */
    broken: false,
    /** Secrets of keys that it made. */
    made: [] as string[],
    async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
      const request = new Request(input, init);
      const { hostname, pathname } = new URL(request.url);
      const name = workerAt(hostname);
      if (name === undefined) throw new TypeError("fetch failed");
      if (worker.broken) return new Response("start_failed", { status: 500 });
      const bindings = liveVersion(standIn.workers, name)?.bindings ?? [];
      const text = (of: string) => bindings.find((each) => each.name === of)?.text ?? "";
      const key = request.headers.get("authorization")?.replace("Bearer ", "");
      if (pathname === "/healthz") return Response.json({ status: "ok" });
      if (pathname === "/openapi.json") {
        return Response.json({ openapi: "3.1.0", paths: { "/v1/caption": {} } });
      }
      if (pathname === "/mcp" && !text("MCP_HOSTS").split(",").includes(hostname)) {
        return refuse("forbidden");
      }
      const isOperator = key !== undefined && text("OPERATOR_KEYS").split(",").includes(key);
      if (key === undefined || !(isOperator || worker.made.includes(key))) {
        return refuse("unauthorized");
      }
      if (pathname === "/v1/keys" && request.method === "POST") return makeKey(request, bindings);
      if (pathname === "/v1/keys") return Response.json({ keys: [] });
      if (pathname === "/v1/models" && worker.models.length > 0) {
        const data = worker.models.map((id) => ({
          ...{ id, object: "model", created: 0, owned_by: "x", model_revision: "0".repeat(16) },
          abilities: ["caption"],
        }));
        return Response.json({ object: "list", data });
      }
      if (pathname === "/v1/models") return refuse("node_unavailable");
      return refuse("not_found");
    },
  };

  async function makeKey(
    request: Request,
    bindings: readonly { readonly type: string; readonly id?: string }[],
  ): Promise<Response> {
    const repeated = request.headers.get("idempotency-key") ?? "";
    const asked = (await request.json()) as { name: string; tenant: string; scopes: string[] };
    if (!answers.has(repeated)) {
      const id = `k${answers.size + 1}`;
      const key = `b2e_${randomUUID()}`;
      const database = [...standIn.storage.databases.values()].find(
        ({ uuid }) => uuid === bindings.find(({ type }) => type === "d1")?.id,
      );
      database?.sqlite
        .prepare(
          "INSERT INTO api_keys (id, prefix, secret_hash, tenant, name, created_at, scopes) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .run(id, "b2e", "hash", asked.tenant, asked.name, 0, asked.scopes.join(" "));
      worker.made.push(key);
      answers.set(
        repeated,
        JSON.stringify({
          ...{ key, id, prefix: "b2e", tenant: asked.tenant, name: asked.name, limits },
          ...{ scopes: asked.scopes, fetch_allow: [], no_store: false, expires_at: null },
          ...{ created_at: "2030-01-01T00:00:00Z", revoked_at: null, last_used_at: null },
          previous_secret_until: null,
        }),
      );
    }
    return new Response(answers.get(repeated), {
      status: 201,
      headers: { "content-type": "application/json" },
    });
  }
  return worker;
}
