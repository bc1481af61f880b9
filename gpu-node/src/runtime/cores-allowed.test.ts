import { expect, test } from "vitest";
import { coresAllowed, engineThreads } from "./cores-allowed.ts";

const files = (tree: Readonly<Record<string, string>>) => (path: string) =>
  Promise.resolve(tree[path.replaceAll(/\/+/g, "/")]);
const at = "/sys/fs/cgroup";

test.each([
  ["a container of version 2", { [`${at}/cpu.max`]: "200000 100000\n" }, "0::/\n", 2],
  [
    "a unit, in a slice that has less",
    {
      [`${at}/a.slice/b.service/cpu.max`]: "400000 100000",
      [`${at}/a.slice/cpu.max`]: "150000 100000",
    },
    "0::/a.slice/b.service\n",
    1.5,
  ],
  [
    "one without a limit",
    { [`${at}/a.slice/cpu.max`]: "max 100000\n" },
    "0::/a.slice\n",
    undefined,
  ],
  [
    "version 1",
    {
      [`${at}/cpu,cpuacct/pod/cpu.cfs_quota_us`]: "50000\n",
      [`${at}/cpu,cpuacct/pod/cpu.cfs_period_us`]: "100000\n",
      [`${at}/cpu,cpuacct/cpu.cfs_quota_us`]: "-1\n",
      [`${at}/cpu,cpuacct/cpu.cfs_period_us`]: "100000\n",
    },
    "3:memory:/pod\n2:cpu,cpuacct:/pod\n",
    0.5,
  ],
  ["no Linux", {}, undefined, undefined],
] as const)("%s", async (_, tree, groups, cores) => {
  const all = { ...tree, ...(groups === undefined ? {} : { "/proc/self/cgroup": groups }) };
  expect(await coresAllowed(files(all))).toBe(cores);
});

test("threads that are asked for stand; else as many as are allowed, when those are fewer than there are", async () => {
  const limited = (max: string) => files({ "/proc/self/cgroup": "0::/\n", [`${at}/cpu.max`]: max });
  expect(await engineThreads(3, limited("100000 100000"), 8)).toBe(3);
  expect(await engineThreads(0, limited("250000 100000"), 8)).toBe(2);
  expect(await engineThreads(0, limited("10000 100000"), 8)).toBe(1);
  expect(await engineThreads(0, limited("800000 100000"), 8)).toBe(0);
  expect(await engineThreads(0, limited("max 100000"), 8)).toBe(0);
});
