// `npm run sbom` gives a component list in CycloneDX's own form, with everything that ships in it.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { readDependencies } from "./licences.ts";

const root = path.dirname(import.meta.dirname);
const bomSchema = z.looseObject({
  bomFormat: z.literal("CycloneDX"),
  specVersion: z.string(),
  components: z.array(
    z.looseObject({
      name: z.string(),
      version: z.string(),
      purl: z.string().startsWith("pkg:npm/"),
    }),
  ),
});

test("every package that ships is in it, with its version", () => {
  const text = execFileSync("npm", ["run", "--silent", "sbom"], { cwd: root, encoding: "utf8" });
  const { components } = bomSchema.parse(JSON.parse(text));
  const listed = new Set(components.map(({ name, version }) => `${name}@${version}`));
  const shipped = readDependencies(root).filter(({ shipsWith }) => shipsWith.length > 0);
  const missing = shipped
    .map(({ name, version }) => `${name}@${version}`)
    .filter((each) => !listed.has(each));
  expect(missing).toEqual([]);
  // Tools are none of it.
  expect([...listed].filter((name) => /^(vitest|wrangler)@/.test(name))).toEqual([]);
});
