// What this repository depends on, under which licences, and what of it ships: read from the lockfile, which
// names the licence of every package. What ships is what a workspace that is delivered needs at run time.
import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";

/** What is delivered, and the workspace whose dependencies go with it. */
export const delivered = {
  "the Worker": "edge",
  "the node": "gpu-node",
  "the command line": "mcp-server",
} as const;
export type Delivered = keyof typeof delivered;

/** Licences that ask for nothing but their own text to go along. */
export const shippable: ReadonlySet<string> = new Set([
  ...["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "Unlicense"],
]);
/** What only tools, which are never handed on, may have besides. */
export const forTools: ReadonlySet<string> = new Set(["AFL-2.1", "LGPL-3.0-or-later", "MPL-2.0"]);

const entrySchema = z.looseObject({
  version: z.string().optional(),
  license: z.string().optional(),
  link: z.boolean().optional(),
  resolved: z.string().optional(),
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});
const lockfileSchema = z.looseObject({
  lockfileVersion: z.literal(3),
  packages: z.record(z.string(), entrySchema),
});
type Packages = z.infer<typeof lockfileSchema>["packages"];

export interface Dependency {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly licence: string;
  /** Where it lies, from the repository's root. */
  readonly folder: string;
  /** With what it ships; of a tool, nothing. */
  readonly shipsWith: readonly Delivered[];
}

/** Whether one of these licences is enough: any side of OR, every side of AND. */
export function isCovered(expression: string, allowed: ReadonlySet<string>): boolean {
  const bare = expression.replaceAll(/[()]/g, "").trim();
  const [either, both] = [bare.split(" OR "), bare.split(" AND ")];
  // No package here mixes them; one that did would be looked at by hand.
  if (either.length > 1 && both.length > 1) return false;
  if (either.length > 1) return either.some((licence) => allowed.has(licence));
  return both.every((licence) => allowed.has(licence));
}

/** Where Node finds a dependency of what lies in `from`: beside it, or in a folder above. */
function resolve(packages: Packages, from: string, name: string): string | undefined {
  const parts = from.split("/node_modules/");
  const above = [...parts.keys()].map(
    (at) => `${parts.slice(0, parts.length - at).join("/node_modules/")}/`,
  );
  for (const base of [...above, ""]) {
    const folder = `${base}node_modules/${name}`;
    const found = packages[folder];
    if (found !== undefined) return found.link === true ? found.resolved : folder;
  }
  return undefined;
}

/** Every package that `workspace` needs at run time, by its folder. */
function closureOf(packages: Packages, workspace: string): Set<string> {
  const closure = new Set<string>();
  const left = [workspace];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    const entry = packages[at];
    if (closure.has(at) || entry === undefined) continue;
    closure.add(at);
    for (const name of Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })) {
      const found = resolve(packages, at, name);
      if (found !== undefined) left.push(found);
    }
  }
  return closure;
}

const nameIn = (folder: string): string =>
  folder.slice(folder.lastIndexOf("node_modules/") + "node_modules/".length);

/** Sorted by name. A licence that is not known is empty. */
export function readDependencies(root: string): Dependency[] {
  const text = readFileSync(path.join(root, "package-lock.json"), "utf8");
  const { packages } = lockfileSchema.parse(JSON.parse(text));
  const closures = Object.entries(delivered).map(
    ([name, workspace]) => [name as Delivered, closureOf(packages, workspace)] as const,
  );
  return Object.entries(packages)
    .filter(([folder, { link }]) => folder.includes("node_modules/") && link !== true)
    .map(([folder, { version = "", license = "" }]) => ({
      ...{ name: nameIn(folder), version, licence: license, folder },
      shipsWith: closures.filter(([, closure]) => closure.has(folder)).map(([name]) => name),
    }))
    .toSorted(
      (a, b) => a.name.localeCompare(b.name, "en") || a.folder.localeCompare(b.folder, "en"),
    );
}

const introduction = `# Licences of what this depends on

Made by \`npm run licences\` from the lockfile; \`npm run check\` fails when it is not current, a test when anything that
ships is under a licence that asks for more than its text to go along. blip2-edge itself is under Apache-2.0 ([LICENSE](../LICENSE)).
\`npm run licences -- --texts\` prints the licence texts of what ships, for those who hand a bundle on; an image
([operate.md](operate.md)) holds them in its \`node_modules\`. \`npm run --silent sbom\` prints a CycloneDX list of components.

Inside these packages are works of others: \`onnxruntime-node\` has ONNX Runtime and Dawn with what they are made of,
the \`@jsquash\` packages have MozJPEG, libwebp and Rust's \`png\` as WebAssembly. CUDA and cuDNN, in the image for NVIDIA
cards, are NVIDIA's, under its own agreement. What nano was trained on is in its
[model card](../gpu-node/nano/MODEL_CARD.md).
`;

/** docs/licences.md. */
export function licencesPage(dependencies: readonly Dependency[]): string {
  const shipped = dependencies.filter(({ shipsWith }) => shipsWith.length > 0);
  const rows = shipped.map(
    ({ name, version, licence, shipsWith }) =>
      `| \`${name}\` | ${version} | ${licence} | ${shipsWith.join(", ")} |`,
  );
  const tools = new Map<string, Set<string>>();
  for (const { name, licence, shipsWith } of dependencies) {
    if (shipsWith.length > 0) continue;
    const names = tools.get(licence) ?? new Set<string>();
    tools.set(licence, names.add(name));
  }
  const groups = [...tools]
    .toSorted(([a], [b]) => a.localeCompare(b, "en"))
    .map(([licence, names]) => `**${licence}** (${names.size}): ${[...names].join(", ")}`);
  return [
    introduction,
    "## What ships\n",
    ["| package | version | licence | with |", "| --- | --- | --- | --- |", ...rows].join("\n"),
    "\n## Tools\n",
    "What builds, tests and deploys, and is handed on to nobody.\n",
    `${groups.join("\n\n")}\n`,
  ].join("\n");
}

/** Whether a page says this; how the formatter sets its tables is no matter. */
export function isCurrent(page: string, dependencies: readonly Dependency[]): boolean {
  const bare = (text: string): string => text.replaceAll(/\s+/g, " ").replaceAll(/-{3,}/g, "---");
  return bare(page) === bare(licencesPage(dependencies));
}

/** Prints what is wrong and tells whether nothing is; part of `npm run check`. */
export function checkLicences(root: string): boolean {
  const page = readFileSync(path.join(root, "docs/licences.md"), "utf8");
  const current = isCurrent(page, readDependencies(root));
  if (!current) console.error("docs/licences.md is not what the lockfile says: npm run licences");
  return current;
}
