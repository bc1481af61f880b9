// Names become paths: whatever is accepted must stay inside of the cache.
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseRepoName, requireRepoName } from "./repo-name.ts";

test.each([
  ["Salesforce/blip2-opt-2.7b", "Salesforce/blip2-opt-2.7b", "main"],
  ["a/b@v1.0", "a/b", "v1.0"],
  ["a/b@refs/pr/7", "a/b", "refs/pr/7"],
  ["gpt2", "gpt2", "main"],
])("%s", (text, repo, revision) => {
  expect(parseRepoName(text)).toEqual({ repo, revision });
});

test.each([
  "",
  "a/b/c",
  "../b",
  "a/..",
  "/a/b",
  "./a",
  "a//b",
  "a/b@",
  "a/b@../x",
  "a/b@/x",
  "a/b@x//y",
  "a/b@x?y",
  "a b/c",
  "a--b/c",
  "a/b\n",
  "https://huggingface.co/a/b",
])("%j is refused with an example", (text) => {
  expect(() => requireRepoName(text)).toThrow("Salesforce/blip2-opt-2.7b");
});

test("whatever is accepted stays inside", () => {
  const piece = fc.constantFrom("a", "b", "..", ".", "/", "@", "-", "_", "\\", "\0", " ", "%2e");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const name = parseRepoName(pieces.join(""));
      if (name === undefined) return;
      expect(name.repo.split("/").length).toBeLessThanOrEqual(2);
      expect(join("/cache", name.repo)).toBe(`/cache/${name.repo}`);
      expect(join("/refs", name.revision)).toBe(`/refs/${name.revision}`);
    }),
  );
});
