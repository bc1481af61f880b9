// Takes the drawings of our classes out of an iconify set: `extract-sprites.ts ICON_SET_FOLDER OUT.json`.
// The set is an npm package such as @iconify-json/noto, installed anywhere; it is no dependency of the project.

import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { things } from "./vocabulary.ts";

interface IconSet {
  readonly width?: number;
  readonly icons: Readonly<Record<string, { readonly body: string; readonly width?: number }>>;
}

const [folder, out] = process.argv.slice(2);
if (folder === undefined || out === undefined) {
  console.error("usage: extract-sprites.ts ICON_SET_FOLDER OUT.json");
  process.exit(2);
}

const json = async (name: string) =>
  JSON.parse(await readFile(join(folder, name), "utf8")) as unknown;
const set = (await json("icons.json")) as IconSet;
const info = (await json("info.json")) as {
  author: { name: string; url: string };
  license: { spdx: string };
};
const pack = (await json("package.json")) as { name: string; version: string };

const bodies: Record<string, string> = {};
for (const slug of things.flatMap((thing) => thing.slugs)) {
  const icon = set.icons[slug];
  if (icon === undefined) throw new Error(`${pack.name} has no drawing "${slug}"`);
  bodies[slug] = icon.body;
}
const file = {
  style: basename(folder),
  licence: info.license.spdx,
  source: `${info.author.name}, ${info.author.url}; taken from ${pack.name} ${pack.version}`,
  viewBox: set.width ?? 16,
  bodies,
};
await writeFile(out, `${JSON.stringify(file, null, 1)}\n`);
console.error(`${Object.keys(bodies).length} drawings of ${pack.name} ${pack.version} → ${out}`);
