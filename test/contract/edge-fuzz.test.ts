// Every operation of the Worker's own OpenAPI document, asked as it says, nearly so and by enemies: never a
// status that it does not name, never a 500, and every answer of the form that it says. Another run:
// FUZZ_SEED=N FUZZ_REQUESTS=N npm test -- edge-fuzz
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Webhook } from "standardwebhooks";
import { createClient, type Client } from "@blip2-edge/shared/client";
import type { CreateConnectionRequest } from "@blip2-edge/shared/contracts/connections";
import { chatChunkSchema } from "@blip2-edge/shared/contracts/chat";
import { textEventSchema } from "@blip2-edge/shared/contracts/stream";
import type { OpenApiDocument } from "@blip2-edge/shared/openapi";
import { readServerSentEvents } from "@blip2-edge/shared/sse";
import { joinPath } from "@blip2-edge/shared/wire/join";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startEdge, type Edge } from "../support/edge.ts";
import { fakeModel, fakeRetrieval } from "../support/fake-node.ts";
import {
  placesOf,
  requestTo,
  type FuzzRequest,
  type FuzzWorld,
} from "../support/openapi-requests.ts";
import type { Hints } from "../support/schema-values.ts";
import { jpeg, png } from "../support/pictures.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? 20_261_130);
const requestCount = Number(process.env["FUZZ_REQUESTS"] ?? 3000);
const atOnce = 8;

let edge: Edge;
let document: OpenApiDocument;
let world: FuzzWorld;
/** What operators alone may do is asked with their key. */
let operators: FuzzWorld;
const operatorKey = `b2e_operator_${"9z".repeat(16)}`;
beforeAll(async () => {
  const picture = await jpeg(80);
  const site = siteInMemory();
  edge = await startEdge({
    vars: { OPERATOR_KEYS: operatorKey },
    internet: (request) =>
      new URL(request.url).hostname === siteHost
        ? site(request)
        : new Response(new Uint8Array(picture), { headers: { "content-type": "image/jpeg" } }),
  });
  const { key } = await createApiKey();
  await edge.worker.putKey({
    ...{ key, tenant: "ada", name: "fuzz" },
    scopes: ["infer", "index", "search", "jobs", "connections", "admin"],
  });
  const client = createClient({ url: edge.url, key });
  document = (await client.openapi()) as unknown as OpenApiDocument;
  const { image_id: imageId } = await client.caption({ image: { bytes: picture } });
  // Several of each, since some requests end them.
  const several = <Made>(make: (index: number) => Promise<Made>) =>
    Promise.all(Array.from({ length: 30 }, (_, index) => make(index)));
  const keys = await several(async (index) => {
    return (await client.keyCreate({ name: `target ${index}` })).id;
  });
  const jobs = await several(async () => {
    const items = [{ image: { image_id: imageId } }];
    return (await client.jobCreate({ task: "caption", items })).id;
  });
  const namespaces = await several(async (index) => {
    const namespace = `n${index}`;
    await client.imagePut({ namespace, id: "picture", image: { bytes: picture } });
    return namespace;
  });
  // Of a picture that no request deletes, because no hint names its namespace.
  const spare = { namespace: "spare", id: "a", image: { bytes: await png(82) } };
  const { thumbnail_url: thumbnail = "" } = await client.imagePut(spare);
  const grants = await several(async (index) => {
    const id = `grt_${String(index).padStart(32, "0")}`;
    await edge.worker.db
      .prepare(
        `INSERT INTO oauth_grants (id, tenant, key_id, client_id, client_name, redirect_host, scopes, proof, created_at, expires_at)
         VALUES (?, 'ada', 'k', 'c', 'Desk', 'desk.example', 'infer', 'key', 0, 1)`,
      )
      .bind(id)
      .run();
    return id;
  });
  const connections = await several(async () => (await client.connectionCreate(siteConnection)).id);
  const nodes = await several((index) => joinedNode(`gpu-${index}`));
  const backfills = await Promise.all(
    connections.map(async (of, index) => {
      const id = `bkf_${String(index).padStart(32, "0")}`;
      await edge.worker.db
        .prepare(
          `INSERT INTO backfills (id, connection_id, tenant, started_by, pictures, dry_run, rate, state, created_at)
           VALUES (?, ?, 'ada', 'k', 'untitled', 0, 60, 'paused', 0)`,
        )
        .bind(id, of)
        .run();
      return id;
    }),
  );
  const { connection, deliveries, suggestions } = await inboxOf(client);
  const idsOf: Record<string, readonly string[]> = {
    ...{ key: keys, job: jobs, grant: grants, image: ["picture"], connection: connections },
    ...{ delivery: deliveries, suggestion: suggestions, backfill: backfills },
  };
  const hints: Hints = {
    namespace: namespaces,
    connection: [connection],
    kind: [siteConnection.kind],
    base_url: [siteConnection.base_url],
    token: [siteConnection.token, new URL(thumbnail).pathname.slice("/i/".length)],
    webhook_secret: [siteConnection.webhook_secret],
    url: ["https://pictures.example/a.jpg", "https://pictures.example/b.jpg?c=d"],
    base64: [Buffer.from(picture).toString("base64")],
    image_id: [imageId],
    model: [fakeModel.model, fakeRetrieval.model],
    key_id: keys,
    input: ["a cat"],
    content: ["what is it?", ""],
    question: ["what is it?"],
    questions: ["what is it?", "where?"],
    texts: ["a cat", "a dog"],
    labels: ["cat", "dog"],
    template: ["{}?"],
    items: [[{ image: { image_id: imageId }, task: "caption" }]],
    messages: [
      [{ role: "user", content: [{ type: "image_url", image_url: { url: imageId } }] }],
      [
        {
          role: "user",
          content: [
            { type: "text", text: "what?" },
            { type: "image_url", image_url: { url: "https://pictures.example/a.jpg" } },
          ],
        },
        { role: "assistant", content: "a cat" },
        { role: "user", content: "which?" },
      ],
    ],
  };
  world = {
    schemas: document.components.schemas,
    hintsFor: (operationId) => ({
      ...hints,
      id: idsOf[/^[a-z]+/.exec(operationId)?.[0] ?? ""] ?? [],
    }),
    authorizations: fc.oneof(
      { weight: 12, arbitrary: fc.constant<string | undefined>(`Bearer ${key}`) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<(string | undefined)[]>(
          ...[
            undefined,
            "",
            "Bearer",
            "Bearer x",
            "Basic YTpi",
            `Bearer ${edge.bob}`,
            `bearer  ${key}`,
          ],
        ),
      },
    ),
    files: fc.constantFrom(
      ...[
        picture,
        await png(81),
        picture.subarray(0, 40),
        new Uint8Array(0),
        new TextEncoder().encode("GIF89a"),
      ],
    ),
  };
  const ofNodes = { name: nodes, origin: ["https://gpu.example.com", "http://127.0.0.1:*"] };
  operators = {
    ...world,
    hintsFor: () => ofNodes,
    authorizations: fc.oneof(
      { weight: 12, arbitrary: fc.constant<string | undefined>(`Bearer ${operatorKey}`) },
      { weight: 1, arbitrary: world.authorizations },
    ),
  };
});
afterAll(() => edge?.stop());

/** Its name. */
async function joinedNode(name: string): Promise<string> {
  const client = createClient({ url: edge.url, key: operatorKey });
  const { token } = await client.nodeTokenCreate({ name, origin: "https://gpu.example.com" });
  const response = await edge.call(joinPath, {
    ...{ method: "POST", key: null, body: JSON.stringify({ token, proof: "0".repeat(64) }) },
    headers: { "content-type": "application/json" },
  });
  expect(response.status).toBe(201);
  return name;
}

const siteHost = "cms.example";
const siteConnection: CreateConnectionRequest = {
  ...{ name: "site", kind: "standard", base_url: `https://${siteHost}`, mode: "suggest" },
  ...{ token: "a-token-of-the-site", webhook_secret: `whsec_${"QUJD".repeat(8)}` },
  ...{ min_itm: null, sweep_every_s: null },
};

/** The routes that docs/cms.md asks of a site; every asset is there. */
function siteInMemory(): (request: Request) => Promise<Response> {
  const words = new Map<string, object>();
  return async (request) => {
    const id = new URL(request.url).pathname.split("/")[2] ?? "";
    if (id === "") return Response.json({ assets: [] });
    if (request.method === "PATCH") {
      words.set(id, { ...words.get(id), ...((await request.json()) as object) });
    }
    const url = "https://pictures.example/a.jpg";
    return Response.json({ id, version: "1", url, alt: null, tags: null, ...words.get(id) });
  };
}

/** A connection with pictures that were described, some of them accepted. */
async function inboxOf(client: Client) {
  const { id: connection, webhook_path: path } = await client.connectionCreate(siteConnection);
  const count = 40;
  for (let index = 0; index < count; index++) {
    const body = JSON.stringify({ type: "asset.created", data: { id: `a${index}`, version: "1" } });
    const at = new Date();
    const headers = {
      "webhook-id": `m${index}`,
      "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
      "webhook-signature": new Webhook(siteConnection.webhook_secret).sign(`m${index}`, at, body),
    };
    await edge.call(path, { method: "POST", key: null, headers, body });
  }
  const open = async () => (await client.suggestionList({ connection, state: "open" })).suggestions;
  await vi.waitFor(async () => expect(await open()).toHaveLength(count), { timeout: 20_000 });
  const suggestions = (await open()).map(({ id }) => id);
  for (const id of suggestions.slice(0, count / 4)) await client.suggestionAccept({ id });
  const { deliveries } = await client.deliveryList({ connection });
  return { connection, suggestions, deliveries: deliveries.map(({ id }) => id) };
}

/** Why an answer is none that the document allows; undefined when it is one. */
function checker(): (request: FuzzRequest, response: Response) => Promise<string | undefined> {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, "api");
  const validators = new Map<string, ValidateFunction>();
  const pointer = (...steps: readonly string[]): string =>
    steps
      .map((step) => `/${encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"))}`)
      .join("");
  const validatorAt = (place: string): ValidateFunction => {
    const known = validators.get(place) ?? ajv.compile({ $ref: `api#${place}` });
    validators.set(place, known);
    return known;
  };
  const places = new Map(placesOf(document).map((place) => [place.operation.operationId, place]));

  return async (request, response) => {
    const place = places.get(request.operationId);
    if (place === undefined) throw new Error(request.operationId);
    const { path, method, operation } = place;
    const status = String(response.status);
    if (status === "500") return "500";
    const told = operation.responses[status];
    if (told === undefined)
      return `status ${status} is not in the document: ${await response.text()}`;
    if (response.headers.get("x-request-id") === null) return "no X-Request-Id";
    if (told.content === undefined) return undefined;
    const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
    const range = type.replace(/\/.*/, "/*");
    if ((told.content[type] ?? told.content[range]) === undefined)
      return `${status} with the content type ${type}`;
    if (type === "text/event-stream") return streamFault(response, operation.operationId);
    const text = await response.text();
    if (!/[/+]json$/.test(type)) return undefined;
    const at = pointer(
      "paths",
      path,
      method.toLowerCase(),
      "responses",
      status,
      "content",
      type,
      "schema",
    );
    const valid = validatorAt(at);
    return valid(JSON.parse(text)) ? undefined : `${ajv.errorsText(valid.errors)}: ${text}`;
  };

  async function streamFault(response: Response, id: string): Promise<string | undefined> {
    if (response.body === null) return "a stream without a body";
    let last = "";
    for await (const { name, data } of readServerSentEvents(response.body)) {
      if (last === "end") return "an event after the end";
      if (data === "[DONE]") last = "end";
      else if (name === "text") textEventSchema.parse(JSON.parse(data));
      else if (name === "") chatChunkSchema.parse(JSON.parse(data));
      else {
        last = "end";
        const schema =
          name === "result" ? `${id.charAt(0).toUpperCase()}${id.slice(1)}Response` : "Problem";
        const valid = validatorAt(`/components/schemas/${schema}`);
        if (!valid(JSON.parse(data))) return `${name}: ${ajv.errorsText(valid.errors)}`;
      }
    }
    return last === "end" ? undefined : "a stream without an end";
  }
}

const isForOperators = ({ operation }: { readonly operation: { readonly operationId: string } }) =>
  operation.operationId.startsWith("node");

test(
  `${requestCount} requests to every operation, from the seed ${seed}`,
  { timeout: 300_000 },
  async () => {
    const places = placesOf(document);
    const share = Math.ceil(requestCount / places.length);
    const requests = places
      .map((place, index) =>
        fc.sample(requestTo(place, isForOperators(place) ? operators : world), {
          ...{ seed: seed + index, numRuns: share },
        }),
      )
      // In turns, so that operations meet each other.
      .reduce<FuzzRequest[][]>(
        (turns, of) => of.map((request, at) => [...(turns[at] ?? []), request]),
        [],
      )
      .flat();
    const check = checker();
    /** One of each kind. */
    const faults = new Map<string, string>();
    const statuses = new Map<string, number>();
    const succeeded = new Set<string>();
    let next = 0;
    const work = async (): Promise<void> => {
      for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
        const { operationId, method, url, headers, body } = request;
        const response = await fetch(edge.url + url, {
          ...{ method, headers, redirect: "manual" },
          ...(body === undefined ? {} : { body }),
        }).catch((error: unknown) => String(error instanceof Error ? error.cause : error));
        if (typeof response === "string") {
          // The Worker refused without reading to the end, and closed.
          statuses.set("closed", (statuses.get("closed") ?? 0) + 1);
          continue;
        }
        if (response.ok) succeeded.add(operationId);
        const kind = `${Math.floor(response.status / 100)}xx`;
        statuses.set(kind, (statuses.get(kind) ?? 0) + 1);
        const fault = await check(request, response).catch((error: unknown) => String(error));
        if (fault === undefined) continue;
        const sent = typeof body === "string" ? body.slice(0, 400) : `${body?.length ?? 0} bytes`;
        faults.set(
          `${operationId} ${fault.slice(0, 60)}`,
          `${fault.slice(0, 400)}\n  ${method} ${url.slice(0, 300)} ${JSON.stringify(headers)}\n  ${sent}`,
        );
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    console.log(
      `fuzzed ${requests.length} requests to ${places.length} operations: ${JSON.stringify(Object.fromEntries(statuses))}`,
    );
    expect(Object.fromEntries(faults)).toEqual({});
    // A run in which nearly all is refused tests little.
    const names = places.map(({ operation }) => operation.operationId);
    expect(names.filter((id) => !succeeded.has(id))).toEqual([]);
    expect(statuses.get("2xx") ?? 0).toBeGreaterThan(requests.length / 5);
    expect(statuses.get("closed") ?? 0).toBeLessThan(requests.length / 100);
  },
);
