// The Worker in workerd before a scripted node and a scripted internet, with keys of two tenants: what
// the contract tests of the edge stand on. State is in memory and dies with it.
import { expect } from "vitest";
import { problemKinds, type Problem, type ProblemCode } from "@blip2-edge/shared/problem";
import { routes, type RouteId } from "@blip2-edge/shared/routes";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startWorker, type RunningWorker } from "../../infra/start/worker.ts";
import type { WorkerOptions } from "../../infra/start/worker-options.ts";
import { startFakeNode, type FakeNode } from "./fake-node.ts";

export interface Edge {
  readonly url: string;
  readonly node: FakeNode;
  readonly worker: RunningWorker;
  /** A key of tenant `ada`, one of tenant `bob`. */
  readonly ada: string;
  readonly bob: string;
  /** The events logged so far. */
  readonly events: readonly Record<string, unknown>[];
  /** Every line logged so far, as it stands. */
  readonly lines: readonly string[];
  call(path: string, init?: RequestInit & { readonly key?: string | null }): Promise<Response>;
  json(path: string, body: unknown, key?: string): Promise<Response>;
  upload(path: string, file: Uint8Array, request?: unknown, key?: string): Promise<Response>;
  /** The last event that was logged. */
  lastEvent(): Record<string, unknown>;
  stop(): Promise<void>;
}

export async function startEdge(options: Partial<WorkerOptions> = {}): Promise<Edge> {
  const node = await startFakeNode();
  const lines: string[] = [];
  const events: Record<string, unknown>[] = [];
  const worker = await startWorker({
    port: 0,
    nodeUrl: node.url,
    nodeKeys: node.keys,
    log: (line) => {
      lines.push(line);
      if (line.startsWith("{")) events.push(JSON.parse(line) as Record<string, unknown>);
    },
    ...options,
  });
  const keyOf = async (tenant: string): Promise<string> => {
    const { key } = await createApiKey();
    await worker.putKey({ key, tenant, name: "test" });
    return key;
  };
  const [ada, bob] = [await keyOf("ada"), await keyOf("bob")];

  const call: Edge["call"] = (path, { key = ada, ...init } = {}) =>
    fetch(worker.url + path, {
      ...init,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(init.headers as Record<string, string> | undefined),
      },
    });
  return {
    url: worker.url,
    node,
    worker,
    ada,
    bob,
    events,
    lines,
    call,
    json: (path, body, key = ada) =>
      call(path, {
        method: "POST",
        key,
        headers: { "content-type": "application/json" },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    async upload(path, file, request, key = ada) {
      const data = new FormData();
      data.set("image", new Blob([new Uint8Array(file)]), "picture");
      if (request !== undefined) data.set("request", JSON.stringify(request));
      // In one piece: a form is a stream, and who answers before its end may close the connection on it.
      const form = new Response(data);
      const headers = { "content-type": form.headers.get("content-type") ?? "" };
      return call(path, { method: "POST", body: await form.arrayBuffer(), key, headers });
    },
    lastEvent: () => events.at(-1) ?? {},
    async stop() {
      await worker.stop();
      await node.stop();
    },
  };
}

export interface Cost {
  /** What the node had to compute for it. */
  readonly cost: number;
  readonly status: string | null;
  readonly body: unknown;
  readonly response: Response;
}

/** Runs `ask`, which must succeed, and tells what it cost. */
export async function costOf(edge: Edge, ask: () => Promise<Response>): Promise<Cost> {
  const before = edge.node.inferences();
  const response = await ask();
  const body: unknown = response.status === 304 ? undefined : await response.json();
  expect([200, 304], JSON.stringify(body)).toContain(response.status);
  return {
    cost: edge.node.inferences() - before,
    status: response.headers.get("cache-status"),
    body,
    response,
  };
}
export const miss = { cost: 1, status: "blip2-edge; fwd=miss; stored" };
export const hit = { cost: 0, status: "blip2-edge; hit" };

/** Reads a problem and holds it to the contract: one of ours, declared by the route, with a request id. */
export async function expectProblem(
  response: Response,
  code: ProblemCode,
  route?: RouteId,
): Promise<Problem> {
  const problem = (await response.json()) as Problem;
  expect(problem.code, JSON.stringify(problem)).toBe(code);
  expect(response.status).toBe(problemKinds[code].status);
  expect(problem).toMatchObject({ status: response.status, title: problemKinds[code].title });
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
  if (route !== undefined) expect([...routes[route].problems, "internal"]).toContain(code);
  return problem;
}
