// `npm run release -- 0.2.0` makes this tree that version: its number in every place, the changelog's heading, the
// goldens that every later version replays. `npm run release -- --check` says whether the tree is a release, and what is
// missing. Nothing is tagged, published or deployed: docs/releases.md says what comes after.
import { spawnSync } from "node:child_process";
import path from "node:path";
import packageFile from "../../package.json" with { type: "json" };
import { checks } from "./checks.ts";
import { nameChanges, setVersion } from "./versions.ts";

const root = path.resolve(import.meta.dirname, "../..");
const goldens = ["test/golden/protocol/make.ts", "test/golden/objects/make.ts"];

function check(version: string): boolean {
  let sound = true;
  for (const { what, faults } of checks) {
    const found = faults(root, version);
    console.log(`${found.length === 0 ? "ok    " : "failed"}  ${what}`);
    for (const fault of found) console.log(`          ${fault}`);
    sound &&= found.length === 0;
  }
  console.log(sound ? `This tree is ${version}.` : `This tree is not ${version} yet.`);
  return sound;
}

/** In processes of their own, which read the number that was written here. */
const record = (): boolean =>
  goldens.every(
    (script) =>
      spawnSync(process.execPath, [path.join(root, script), "--again"], { stdio: "inherit" })
        .status === 0,
  );

const [asked, ...more] = process.argv.slice(2);
if (asked === undefined || more.length > 0) {
  console.error("Usage: npm run release -- VERSION | --check");
  process.exitCode = 2;
} else if (asked === "--check") {
  process.exitCode = check(packageFile.version) ? 0 : 1;
} else {
  try {
    setVersion(root, asked);
    nameChanges(root, asked, new Date().toISOString().slice(0, 10));
    process.exitCode = record() && check(asked) ? 0 : 1;
    console.log('Then: .ci/run, and what docs/releases.md says under "Cutting one".');
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
