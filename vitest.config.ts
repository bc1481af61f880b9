// Three suites in the order in which `npm test` runs them: the whole stack in under a minute, then
// what stands beside its source, then what needs real processes (one file at a time: two cores). `npm run verify`
// runs a fourth, of files that take long and seldom break.
import { defineConfig } from "vitest/config";

const seldom = [
  "test/{bench,budgets,deploy,fleet,load,real-cms}/**/*.test.ts",
  "test/contract/edge-{jobs-killed,memory}.test.ts",
  "test/faults/{engine-killed,native-abort}.test.ts",
  "test/golden/search.test.ts",
  "test/providers/webgpu.test.ts",
];
const long = { testTimeout: 60_000, hookTimeout: 180_000 };

export default defineConfig({
  test: {
    projects: [
      { test: { name: "tiny", include: ["test/tiny.test.ts"], ...long } },
      {
        test: {
          name: "unit",
          include: [
            "{shared,mcp-server,gpu-node,edge}/{src,nano}/**/*.test.ts",
            "edge/page/**/*.test.ts",
            "infra/**/*.test.ts",
          ],
          testTimeout: 30_000,
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "system",
          include: ["test/*/**/*.test.ts"],
          exclude: seldom,
          fileParallelism: false,
          ...long,
        },
      },
      { test: { name: "verify", include: seldom, fileParallelism: false, ...long } },
    ],
  },
});
