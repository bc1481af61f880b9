// `npm run sbom` gives a component list in CycloneDX's own form, with everything that ships in it.
import path from "node:path";
import { expect, test } from "vitest";
import { missingFromSbom, readSbom } from "./sbom.ts";

const root = path.dirname(import.meta.dirname);

test("every package that ships is in it, with its version", () => {
  const listed = readSbom(root);
  expect(missingFromSbom(root, listed)).toEqual([]);
  expect(missingFromSbom(root, new Set()).length).toBeGreaterThan(20);
  // Tools are none of it.
  expect([...listed].filter((name) => /^(vitest|wrangler)@/.test(name))).toEqual([]);
});
