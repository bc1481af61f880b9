// Holds docs/observability.md to the registry: its tables of metrics list every metric with its type, its labels
// and its meaning, and no other.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createMetrics } from "./metrics.ts";

interface Described {
  readonly type: string;
  readonly labels: readonly string[];
  readonly meaning: string;
}

/** Metrics of which every series that has labels has been seen once. */
async function registered(): Promise<Map<string, Described>> {
  const lag = { p50Ms: 1, p99Ms: 1, maxMs: 1 };
  const load = { waiting: 1, workMs: 1 };
  const metrics = createMetrics({
    load: () => ({ interactive: load, bulk: load }),
    jobsRunning: () => 1,
    featureStoreBytes: () => 1,
    engineRestarts: () => 1,
    engineReady: () => true,
    nodeReady: () => true,
    models: () => [{ model: "m", model_revision: "r", family: "opt" }],
    doorRssBytes: () => 1,
    doorLoopLag: () => lag,
  });
  metrics.request({ method: "GET", route: "/metrics", status: 200, outcome: "ok", seconds: 1 });
  metrics.job({
    kind: "generate",
    model: "m",
    priority: "bulk",
    items: 1,
    tokens: 2,
    visionPasses: 1,
    times: { queueMs: 1, stages: {} },
    generation: { firstTokenMs: 1, perOutputTokenMs: 1 },
  });
  metrics.engine({
    work: { decodeRuns: [], decodeSteps: 0, decodeTokens: 0, prefills: [], visionBatches: [] },
    batch: { rows: 0, maxRows: 0, kvBytes: 0, waiting: { vision: 1 } },
    rssBytes: 1,
    loopLag: lag,
  });
  const found = new Map<string, Described>();
  for (const block of (await metrics.render()).split(/\n(?=# HELP )/)) {
    const [, name = "", meaning = ""] = /^# HELP (\S+) (.*)$/m.exec(block) ?? [];
    const [, type = ""] = /^# TYPE \S+ (\S+)$/m.exec(block) ?? [];
    const labels = new Set([...block.matchAll(/[{,]([a-z_]+)="/g)].map(([, label = ""]) => label));
    labels.delete("le");
    found.set(name, { type, labels: [...labels].toSorted(), meaning });
  }
  return found;
}

/** Rows of the tables whose first column is called `metric`. */
function described(page: string): Map<string, Described> {
  const found = new Map<string, Described>();
  let inTable = false;
  for (const line of page.split("\n")) {
    const [, first = "", type = "", labels = "", meaning = ""] = line
      .split("|")
      .map((cell) => cell.trim());
    if (first === "metric") inTable = true;
    else if (!line.startsWith("|")) inTable = false;
    else if (inTable && first.startsWith("`")) {
      const name = first.replaceAll("`", "");
      if (found.has(name)) throw new Error(`${name} is there twice`);
      const names = [...labels.matchAll(/`([^`]+)`/g)].map(([, label = ""]) => label);
      found.set(name, { type, labels: names.toSorted(), meaning });
    }
  }
  return found;
}

const page = readFileSync(new URL("../../../docs/observability.md", import.meta.url), "utf8");

test("the page lists every metric as it is registered, and no other", async () => {
  expect(Object.fromEntries(described(page))).toEqual(Object.fromEntries(await registered()));
});

test("a page that says something else is found out", async () => {
  const metrics = Object.fromEntries(await registered());
  const changes = [
    page.replace("| `queue_depth` ", "| `queue_length` "),
    page.replace(/\| `jobs_running` .*\n/, ""),
    page.replace(/(\| `queue_depth` +)\| gauge /, "$1| counter "),
    page.replace(/(\| `queue_depth` .*)`priority`/, "$1`partition`"),
  ];
  for (const changed of changes) {
    expect(changed).not.toBe(page);
    expect(Object.fromEntries(described(changed))).not.toEqual(metrics);
  }
});
