// Whether the list of components (`npm run sbom`, in CycloneDX's own form) has everything that ships, and no tool.
import { execFileSync } from "node:child_process";
import { z } from "zod";
import { readDependencies } from "./licences.ts";

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

/** `name@version` of every component. */
export function readSbom(root: string): ReadonlySet<string> {
  const text = execFileSync("npm", ["run", "--silent", "sbom"], { cwd: root, encoding: "utf8" });
  const { components } = bomSchema.parse(JSON.parse(text));
  return new Set(components.map(({ name, version }) => `${name}@${version}`));
}

/** What ships and is not in the list. */
export function missingFromSbom(root: string, listed = readSbom(root)): string[] {
  return readDependencies(root)
    .filter(({ shipsWith }) => shipsWith.length > 0)
    .map(({ name, version }) => `${name}@${version}`)
    .filter((each) => !listed.has(each));
}
