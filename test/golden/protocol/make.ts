// Writes the golden of this version, from what edge and node say and understand today:
//   node test/golden/protocol/make.ts [--again]
// `--again` writes anew what is there, which is right until the release is out and wrong after it (docs/releases.md).
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { protocolVersion } from "@blip2-edge/shared/wire/protocol";
import packageFile from "../../../package.json" with { type: "json" };
import { makeGolden } from "./golden.ts";

const { version } = packageFile;
const file = path.join(import.meta.dirname, protocolVersion, `${version}.json`);
if (existsSync(file) && !process.argv.includes("--again")) {
  console.error(`${file} is there already; --again writes it anew.`);
  process.exitCode = 1;
} else {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(await makeGolden(version), undefined, 1)}\n`);
  console.log(`${file} holds what edge and node say today.`);
}
