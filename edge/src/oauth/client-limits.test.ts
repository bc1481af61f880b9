import { expect, test } from "vitest";
import { faultOfClient } from "./client-limits.ts";

const redirects = (count: number) =>
  Array.from({ length: count }, (_, at) => `https://agent.example/${at}`);

test("what clients say of themselves", () => {
  const usual = {
    ...{ client_name: "Desk", redirect_uris: redirects(10), grant_types: ["authorization_code"] },
    ...{ scope: "infer", client_uri: "https://agent.example", jwks: { keys: [] } },
  };
  expect(faultOfClient(usual)).toBeUndefined();
  expect(faultOfClient({})).toBeUndefined();
});

test.each([
  [{ redirect_uris: redirects(11) }, /^redirect_uris has more than 10/],
  [{ client_name: "x".repeat(101) }, /^client_name has more than 100/],
  [{ logo_uri: "x".repeat(2001) }, /^logo_uri has a text/],
  [{ contacts: ["a", "x".repeat(2001)] }, /^contacts has a text/],
  [{ jwks: { keys: Array(2000).fill("x") } }, /^jwks is too long/],
  [{ ["x".repeat(100)]: "y".repeat(2001) }, /^x{40} has/],
])("and what is too much of it: %#", (metadata, fault) => {
  expect(faultOfClient(metadata)).toMatch(fault);
});
