// The Worker's bundle, as Wrangler would upload it, stays within its budgets. Over one, look first for what came in that
// need not; a budget that is raised is raised in docs/releases.md too, with what it was for.
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { budgets } from "../../infra/budgets/budgets.ts";
import { sizeOf } from "../../infra/budgets/worker-size.ts";
import { measureStart } from "../../infra/budgets/worker-start.ts";
import { bundleWorker } from "../../infra/start/worker-bundle.ts";

test("the Worker is no larger, and does no more at its start, than it may", async () => {
  const bundle = await bundleWorker();
  const measured = { ...sizeOf(bundle), ...(await measureStart(bundle)) };
  const over = Object.entries(measured).filter(
    ([what, found]) => found > budgets[what as keyof typeof measured],
  );
  expect(Object.fromEntries(over), JSON.stringify(measured)).toEqual({});
  // What is measured is there at all.
  expect(Math.min(...Object.values(measured))).toBeGreaterThan(1);
});

test("a start is counted alike each time", async () => {
  const bundle = await bundleWorker();
  expect(await measureStart(bundle)).toEqual(await measureStart(bundle));
});

test("the page says the budgets as they are", () => {
  const page = readFileSync(path.resolve(import.meta.dirname, "../../docs/releases.md"), "utf8");
  for (const [what, most] of Object.entries(budgets)) {
    expect(page.includes(` ${most.toLocaleString("en")} |`), what).toBe(true);
  }
});
