// The runtime's own telemetry, which writes an id of the machine into the user's cache, is off: seen from outside,
// in processes of their own, with a cache that is empty before. They inherit nothing: the runtime keeps still where it
// sees a build server's variables (`CI`, `GITHUB_ACTIONS`, `TF_BUILD`, `JENKINS_URL`), and the control would show nothing.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";

const ort = new URL("./ort.ts", import.meta.url).href;
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** What a process that opens one session leaves in its cache. */
function leftInCache(environment: Readonly<Record<string, string>>): string[] {
  const cache = mkdtempSync(path.join(tmpdir(), "blip2-cache-"));
  folders.push(cache);
  const opened = spawnSync(
    process.execPath,
    ["--input-type=module", "-e", `console.log(await (await import("${ort}")).addOn("cpu"))`],
    { encoding: "utf8", env: { XDG_CACHE_HOME: cache, ...environment } },
  );
  expect(opened.stdout, opened.stderr).toMatch(/^\d/);
  return readdirSync(cache, { recursive: true, encoding: "utf8" });
}

test.runIf(process.platform === "linux")("a session leaves nothing behind", () => {
  expect(leftInCache({})).toEqual([]);
  // It would, if nothing was said.
  expect(leftInCache({ ORT_DISABLE_TELEMETRY: "0" }).join()).toContain("deviceid");
});
