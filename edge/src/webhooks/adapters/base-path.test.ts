// Which base URLs a kind of CMS takes, where its API needs more than an origin.
import { expect, test } from "vitest";
import { adapters } from "../adapters.ts";

test.each([
  ["cloudinary", "/v1_1/my-cloud", ["/", "/v1_1", "/v1_1/", "/v1_1/a/b", "/v1_1/a/image/upload"]],
  ["storyblok", "/v1/spaces/288868932106293", ["/", "/v1/spaces", "/v1/spaces/me", "/v2/cdn"]],
  ["shopify", "/admin/api/2026-10", ["/", "/admin", "/admin/api/2026-10/graphql.json"]],
] as const)("%s takes %s and no other", (kind, good, bad) => {
  const { pattern, message } = adapters[kind].basePath ?? {};
  expect(pattern?.test(good)).toBe(true);
  for (const path of bad) expect(pattern?.test(path), path).toBe(false);
  expect(message).toMatch(/^must /);
});
