// Writes what this version's Durable Objects leave in their storage, and what they tell of it:
//   node test/golden/objects/make.ts [--again]
// `--again` writes anew what is there, which is right until the release is out and wrong after it (docs/releases.md).
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import packageFile from "../../../package.json" with { type: "json" };
import { makeObjectsGolden } from "./stored-objects.ts";

const { version } = packageFile;
const file = path.join(import.meta.dirname, "released", `${version}.json`);
if (existsSync(file) && !process.argv.includes("--again")) {
  console.error(`${file} is there already; --again writes it anew.`);
  process.exitCode = 1;
} else {
  const folder = await mkdtemp(path.join(os.tmpdir(), "blip2-objects-"));
  try {
    const golden = await makeObjectsGolden(version, folder);
    await writeFile(file, `${JSON.stringify(golden, undefined, 1)}\n`);
    console.log(`${file} holds what Durable Objects keep today.`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
