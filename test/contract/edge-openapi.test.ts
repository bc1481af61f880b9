// The description of the API that the Worker serves: a valid OpenAPI document that says what the route table
// says, and a page that shows it and loads nothing.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Validator } from "@seriousme/openapi-schema-validator";
import type { OpenApiDocument } from "@blip2-edge/shared/openapi";
import { problemKinds } from "@blip2-edge/shared/problem";
import { routeList } from "@blip2-edge/shared/routes";
import { startEdge, type Edge } from "../support/edge.ts";

let edge: Edge;
let document: OpenApiDocument;
beforeAll(async () => {
  edge = await startEdge();
  document = (await (await edge.call("/openapi.json", { key: null })).json()) as OpenApiDocument;
});
afterAll(() => edge?.stop());

test("the document is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate({ ...document });
  expect(errors ?? []).toEqual([]);
  expect(valid).toBe(true);
  expect(validator.version).toBe("3.1");
});

test("it has every route with every problem, by status, and nothing else", () => {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  expect(operations.map(({ operation }) => operation.operationId).toSorted()).toEqual(
    routeList.map(({ id }) => id).toSorted(),
  );
  for (const { path, method, operation } of operations) {
    const route = routeList.find(({ id }) => id === operation.operationId);
    if (route === undefined) throw new Error(operation.operationId);
    expect([path, method.toUpperCase()]).toEqual([route.path, route.method]);
    const told = Object.entries(operation.responses).flatMap(([status, { content }]) => {
      const schema = content?.["application/problem+json"]?.schema;
      const of = (
        schema?.["allOf"] as { properties?: { code: { enum: string[] } } }[] | undefined
      )?.at(1)?.properties?.code.enum;
      return (of ?? []).map((code) => `${status} ${code}`);
    });
    expect(told.toSorted(), operation.operationId).toEqual(
      [...route.problems, "internal" as const]
        .map((code) => `${problemKinds[code].status} ${code}`)
        .toSorted(),
    );
    expect(operation.security.length === 0, operation.operationId).toBe(route.scope === null);
  }
});

test("every reference in it leads somewhere, and every schema is one that a validator takes", () => {
  const text = JSON.stringify(document);
  const names = { ...document.components.schemas, ...document.components.headers };
  for (const [, kind = "", name = ""] of text.matchAll(/"#\/components\/(\w+)\/([\w-]+)"/g)) {
    expect(["schemas", "headers"], name).toContain(kind);
    expect(names).toHaveProperty([name]);
  }
});

test.each(["/openapi.json", "/docs"])(
  "%s is for anyone, and known the second time",
  async (path) => {
    const first = await edge.call(path, { key: null });
    expect(first.status).toBe(200);
    expect(first.headers.get("cache-control")).toBe("public, max-age=300");
    const etag = first.headers.get("etag") ?? "";
    const second = await edge.call(path, { key: null, headers: { "if-none-match": etag } });
    expect([second.status, await second.text()]).toEqual([304, ""]);
  },
);

test("the page shows every route and loads nothing", async () => {
  const response = await edge.call("/docs", { key: null });
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  const policy = response.headers.get("content-security-policy") ?? "";
  expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; /);
  const html = await response.text();
  const style = /<style>([^]*?)<\/style>/.exec(html)?.[1] ?? "";
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style));
  expect(policy).toContain(Buffer.from(digest).toString("base64"));
  for (const { id } of routeList) expect(html).toContain(`<section id="${id}">`);
  // Neither a script nor anything from elsewhere: `src`, and `href` but to itself and the document.
  expect(html).not.toMatch(/<script|\ssrc=|\son\w+=/i);
  for (const [, href = ""] of html.matchAll(/href="([^"]*)"/g)) {
    expect(href).toMatch(/^(#[\w-]+|openapi\.json)$/);
    if (href.startsWith("#")) expect(html).toContain(`id="${href.slice(1)}"`);
  }
});
