// How many cores this process may use by its control group: the limit of a container, a pod or a unit. Neither the
// runtime nor os.availableParallelism looks at it, and more threads than it allows only wait for one another.
// https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max); version 1: cpu.cfs_quota_us.
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";

/** A file's text; undefined where there is none. */
type ReadText = (path: string) => Promise<string | undefined>;
const readIfThere: ReadText = (path) => readFile(path, "utf8").catch(() => undefined);

const root = "/sys/fs/cgroup";

/** `/a/b` lies in `/a` and in the root, whose limits count as well. */
const upwards = (group: string): string[] => {
  const parts = group.split("/").filter((part) => part !== "");
  return Array.from({ length: parts.length + 1 }, (_, left) =>
    parts.slice(0, parts.length - left).join("/"),
  );
};

const share = (quota: string | undefined, period: string | undefined): number[] => {
  const cores = Number(quota) / Number(period);
  return cores > 0 && Number.isFinite(cores) ? [cores] : [];
};

/** The least limit on the way up; undefined where nothing limits. A part of a core is told as such. */
export async function coresAllowed(read: ReadText = readIfThere): Promise<number | undefined> {
  const limits: number[] = [];
  for (const line of ((await read("/proc/self/cgroup")) ?? "").split("\n")) {
    const [, controllers, group] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || group === undefined) continue;
    for (const folder of upwards(group)) {
      if (controllers === "") {
        const [quota, period] = ((await read(`${root}/${folder}/cpu.max`)) ?? "").trim().split(" ");
        limits.push(...share(quota, period));
      } else if (controllers.split(",").includes("cpu")) {
        const at = `${root}/${controllers}/${folder}`;
        limits.push(
          ...share(await read(`${at}/cpu.cfs_quota_us`), await read(`${at}/cpu.cfs_period_us`)),
        );
      }
    }
  }
  return limits.length === 0 ? undefined : Math.min(...limits);
}

/** What the engine is told for `asked` threads: 0 leaves it to the runtime, which takes the physical cores. */
export async function engineThreads(
  asked: number,
  read?: ReadText,
  cores = availableParallelism(),
): Promise<number> {
  if (asked > 0) return asked;
  const allowed = await coresAllowed(read);
  return allowed === undefined || allowed >= cores ? 0 : Math.max(1, Math.floor(allowed));
}
