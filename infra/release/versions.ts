// Where this repository says which version it is: every workspace, what they need of each other, the lockfile, the tags of
// the container images. One version for all of them: an edge and a node of one release were tested together.
import { globSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";

const versionPattern = /^\d+\.\d+\.\d+$/;
const scope = "@blip2-edge/";
const imageTag = /(?<=blip2-node:|newTag: )\d+\.\d+\.\d+/g;

const packageSchema = z.looseObject({
  version: z.string(),
  workspaces: z.array(z.string()).default([]),
  dependencies: z.record(z.string(), z.string()).default({}),
});
type Package = z.infer<typeof packageSchema>;
const lockSchema = z.looseObject({
  version: z.string(),
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string().optional(),
      dependencies: z.record(z.string(), z.string()).optional(),
    }),
  ),
});

export interface Stated {
  readonly where: string;
  readonly version: string;
}

const readJson = (root: string, file: string): unknown =>
  JSON.parse(readFileSync(path.join(root, file), "utf8"));
const readPackage = (root: string, folder: string): Package =>
  packageSchema.parse(readJson(root, path.join(folder, "package.json")));
const foldersOf = (root: string): string[] => ["", ...readPackage(root, "").workspaces];
const pagesOf = (root: string): string[] => [
  "docs/operate.md",
  ...globSync("infra/node/**/*", { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".ts"))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name))),
];

const ownDependencies = (where: string, dependencies: Readonly<Record<string, string>>): Stated[] =>
  Object.entries(dependencies)
    .filter(([name]) => name.startsWith(scope))
    .map(([name, version]) => ({ where: `${where}, ${name}`, version }));

export function statedVersions(root: string): Stated[] {
  const lock = lockSchema.parse(readJson(root, "package-lock.json"));
  const folders = foldersOf(root);
  return [
    ...folders.flatMap((folder) => {
      const { version, dependencies } = readPackage(root, folder);
      const where = path.join(folder, "package.json");
      return [{ where, version }, ...ownDependencies(where, dependencies)];
    }),
    { where: "package-lock.json", version: lock.version },
    ...folders.flatMap((folder) => {
      const { version = "none", dependencies = {} } = lock.packages[folder] ?? {};
      const where = `package-lock.json, ${folder === "" ? "the root" : folder}`;
      return [{ where, version }, ...ownDependencies(where, dependencies)];
    }),
    ...pagesOf(root).flatMap((file) =>
      [...readFileSync(path.join(root, file), "utf8").matchAll(imageTag)].map(([version]) => ({
        where: `${file}, an image's tag`,
        version,
      })),
    ),
  ];
}

/** Says `version` in every one of these places. Throws RangeError for what is none. */
export function setVersion(root: string, version: string): void {
  if (!versionPattern.test(version)) throw new RangeError(`${version} is not of the form 1.2.3`);
  const change = (file: string, to: (text: string) => string): void => {
    const before = readFileSync(path.join(root, file), "utf8");
    const after = to(before);
    if (after !== before) writeFileSync(path.join(root, file), after);
  };
  const folders = foldersOf(root);
  for (const folder of folders) {
    change(path.join(folder, "package.json"), (text) =>
      text
        .replace(/^(\s*"version": )"[^"]*"/m, `$1"${version}"`)
        .replaceAll(/^(\s*"@blip2-edge\/[^"]*": )"[^"]*"/gm, `$1"${version}"`),
    );
  }
  change("package-lock.json", (text) => {
    // Not what the schema gives, whose keys stand in another order.
    const lock = JSON.parse(text) as z.infer<typeof lockSchema>;
    lock.version = version;
    for (const folder of folders) {
      const entry = lock.packages[folder];
      if (entry === undefined) continue;
      entry.version = version;
      for (const name of Object.keys(entry.dependencies ?? {})) {
        if (name.startsWith(scope)) entry.dependencies = { ...entry.dependencies, [name]: version };
      }
    }
    return `${JSON.stringify(lock, undefined, 2)}\n`;
  });
  for (const file of pagesOf(root)) change(file, (text) => text.replaceAll(imageTag, version));
}

/** The heading of a release in CHANGELOG.md. */
const headingOf = (version: string, day: string): string => `## ${version} (${day})`;

/** What is not released yet becomes this release. Throws RangeError when there is nothing. */
export function nameChanges(root: string, version: string, day: string): void {
  const file = path.join(root, "CHANGELOG.md");
  const text = readFileSync(file, "utf8");
  if (!/^## Unreleased$/m.test(text)) {
    throw new RangeError("CHANGELOG.md has no heading Unreleased: nothing has changed.");
  }
  writeFileSync(file, text.replace(/^## Unreleased$/m, headingOf(version, day)));
}
