// What the Worker does when its module is evaluated, before any request: counted in calls of functions, which every run of
// the same bundle makes alike, whatever else the machine does. Not its time, which `wrangler check startup` samples;
// calls into the engine itself (a regular expression, JSON) count as none.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import type { WorkerBundle } from "../start/worker-bundle.ts";

const startSchema = z.object({
  /** Different functions that were called. */
  functions: z.int(),
  calls: z.int(),
});
export type WorkerStart = z.infer<typeof startSchema>;

const timeoutMs = 60_000;

export async function measureStart({
  modulesRoot,
  mainModule,
}: WorkerBundle): Promise<WorkerStart> {
  const script = path.join(import.meta.dirname, "count-start.ts");
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [script, path.join(modulesRoot, mainModule)],
    { timeout: timeoutMs },
  );
  return startSchema.parse(JSON.parse(stdout));
}
