import { expect, test } from "vitest";
import { problemKinds } from "./problem.ts";
import { routeList, routes } from "./routes.ts";

test("ids are the table's keys, and no two routes answer the same request", () => {
  expect(routeList.map(({ id }) => id)).toEqual(Object.keys(routes));
  const addresses = routeList.map(({ method, path }) => `${method} ${path}`);
  expect(new Set(addresses).size).toBe(addresses.length);
});

test("every problem is a row of the table, once, and never one of a node's or the command line's", () => {
  for (const { id, problems } of routeList) {
    expect(new Set(problems).size, id).toBe(problems.length);
    for (const code of problems) {
      expect(problemKinds, id).toHaveProperty(code);
      expect(["pixels_required", "signature_invalid", "usage", "internal"]).not.toContain(code);
    }
  }
});

test("what needs a key may refuse it, and a GET has no body", () => {
  for (const { id, scope, method, input, problems } of routeList) {
    expect(problems.includes("unauthorized"), id).toBe(scope !== null);
    if (method === "GET") expect(input.kind, id).not.toBe("image");
  }
});
