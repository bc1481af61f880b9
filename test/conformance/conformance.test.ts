// The official conformance suite, both of its frozen requirement sets: against a fixture that is answered the way the
// product answers, and the rebinding scenario against the product itself.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEdge, type Edge } from "../support/edge.ts";
import { expectedFailures, requiredScenarios } from "./expected-failures.ts";
import { runSuite, type Verdicts } from "./run-suite.ts";
import { serveFixture, serveWithKey, type Served } from "./serve.ts";

const revisions = ["2025-11-25", "2026-07-28"] as const;
let fixture: Served;
let edge: Edge;
let product: Served;
/** Begun together: the suite mostly waits. */
let verdicts: Record<(typeof revisions)[number], Promise<Verdicts>>;
beforeAll(async () => {
  fixture = await serveFixture();
  const run = (revision: string) => runSuite(fixture.url, ["--requirements", revision]);
  verdicts = { "2025-11-25": run("2025-11-25"), "2026-07-28": run("2026-07-28") };
  edge = await startEdge();
  product = await serveWithKey(edge.url, edge.ada);
});
afterAll(async () => {
  await Promise.all([fixture?.stop(), product?.stop()]);
  await edge?.stop();
});

/** Run and reported by the suite, and required by no revision. */
const unscored = /^(tasks-|json-schema-2020-12|http-|server-session-lifecycle|server-sse-polling)/;

test.each(revisions)(
  "%s: every required scenario passes but those that are named",
  async (revision) => {
    const required = Object.entries(await verdicts[revision]).filter(
      ([scenario]) => !unscored.test(scenario),
    );
    expect(required).toHaveLength(requiredScenarios[revision] ?? 0);
    const failed = Object.fromEntries(required.filter(([, faults]) => faults.length > 0));
    expect(Object.keys(failed).toSorted(), JSON.stringify(failed, null, 2)).toEqual(
      Object.keys(expectedFailures[revision] ?? {}).toSorted(),
    );
  },
);

test.each(revisions)("%s: the product is safe from DNS rebinding", async (revision) => {
  const scenario = "dns-rebinding-protection";
  const choice = ["--scenario", scenario, "--spec-version", revision];
  expect(await runSuite(product.url, choice)).toEqual({ [scenario]: [] });
});

test("the table of the documentation names each exception", async () => {
  const page = await readFile(path.resolve(import.meta.dirname, "../../docs/mcp.md"), "utf8");
  for (const scenario of Object.values(expectedFailures).flatMap((named) => Object.keys(named))) {
    expect(page).toContain(`\`${scenario}\``);
  }
});
