// Alerts, dashboards and the collector beside the metrics that there are, the runbook that they point at and,
// where it is installed, Prometheus's own tool.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { edgeDashboard } from "./dashboards/edge-dashboard.ts";
import { nodeDashboard } from "./dashboards/node-dashboard.ts";
import { knownMetrics, spanDimensions } from "./known-metrics.ts";
import { selectedBy } from "./promql.ts";

const here = import.meta.dirname;
const root = path.resolve(here, "../..");
const read = (file: string): string => readFileSync(path.join(here, file), "utf8");
const runbook = readFileSync(path.join(root, "docs/runbook.md"), "utf8");

const rulesSchema = z.object({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.union([
          z.strictObject({ record: z.string(), expr: z.string() }),
          z.strictObject({
            alert: z.string(),
            expr: z.string(),
            for: z.string().optional(),
            labels: z.strictObject({ severity: z.enum(["critical", "warning", "info"]) }),
            annotations: z.strictObject({ summary: z.string(), runbook: z.string() }),
          }),
        ]),
      ),
    }),
  ),
});
const rules = rulesSchema
  .parse(parse(read("prometheus/alerts.yaml")))
  .groups.flatMap((group) => group.rules);
const alerts = rules.filter((rule) => "alert" in rule);
const known = new Map(knownMetrics());
for (const rule of rules) {
  if ("record" in rule) known.set(rule.record, new Set(["instance", "stage"]));
}

/** What is asked for and is not there. */
function unknownIn(expression: string): string[] {
  return selectedBy(expression).flatMap(({ metric, labels }) => {
    const has = known.get(metric);
    if (has === undefined) return [metric];
    return labels.filter((label) => !has.has(label)).map((label) => `${metric}{${label}}`);
  });
}

test("what asks for series that are not there is found out", () => {
  expect(unknownIn("rate(requests_totals[5m])")).toEqual(["requests_totals"]);
  expect(unknownIn('sum(rate(requests_total{path="/"}[$__rate_interval]))')).toEqual([
    "requests_total{path}",
  ]);
  expect(() => unknownIn("sum(rate(requests_total[5m])")).toThrow("no PromQL");
});

describe("alerts", () => {
  test("ask for series that there are", () => {
    expect(rules.flatMap(({ expr }) => unknownIn(expr))).toEqual([]);
  });

  test("each is in the runbook under the heading that it names, and no other is", () => {
    const headings = [...runbook.matchAll(/^## (.+)$/gm)].map(([, title = ""]) => title);
    const anchors = headings.map((title) => title.toLowerCase().replaceAll(" ", "-"));
    const bySection = new Map(
      anchors.map((anchor, at) => [anchor, runbook.split(/^## /m)[at + 1]]),
    );
    for (const { alert, annotations } of alerts) {
      const [page, anchor = ""] = annotations.runbook.split("#");
      expect(page).toBe("docs/runbook.md");
      expect(bySection.get(anchor), `${alert}: ${anchor}`).toContain(`\`${alert}\``);
    }
    const named = new Set([...runbook.matchAll(/`(Blip2\w+)`/g)].map(([, name = ""]) => name));
    expect([...named].toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
  });

  test("each has a case in which it fires", () => {
    const cases = z
      .looseObject({
        tests: z.array(
          z.looseObject({
            alert_rule_test: z.array(
              z.looseObject({ alertname: z.string(), exp_alerts: z.array(z.unknown()) }),
            ),
          }),
        ),
      })
      .parse(parse(read("prometheus/alerts.test.yaml")));
    const fires = new Set(
      cases.tests
        .flatMap((one) => one.alert_rule_test)
        .filter(({ exp_alerts: expected }) => expected.length > 0)
        .map(({ alertname }) => alertname),
    );
    expect([...fires].toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
  });

  const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
  test.skipIf(!hasPromtool)("promtool finds no fault in them and in their cases", () => {
    for (const args of [
      ["check", "config", "prometheus.yaml"],
      ["check", "rules", "alerts.yaml"],
      ["test", "rules", "alerts.test.yaml"],
    ]) {
      const ran = spawnSync("promtool", args, {
        cwd: path.join(here, "prometheus"),
        encoding: "utf8",
      });
      expect(ran.status, ran.stdout + ran.stderr).toBe(0);
    }
  });

  test("the jobs that they name are scraped", () => {
    const jobs = z
      .looseObject({ scrape_configs: z.array(z.looseObject({ job_name: z.string() })) })
      .parse(parse(read("prometheus/prometheus.yaml")))
      .scrape_configs.map(({ job_name: name }) => name);
    const asked = rules.flatMap(({ expr }) => [...expr.matchAll(/job="([^"]+)"/g)]);
    expect(asked.length).toBeGreaterThan(10);
    for (const [, job] of asked) expect(jobs).toContain(job);
  });
});

describe.each([nodeDashboard, edgeDashboard])("dashboard $uid", (dashboard) => {
  const panels = z
    .array(
      z.looseObject({
        id: z.int(),
        type: z.string(),
        title: z.string(),
        description: z.string().optional(),
        gridPos: z.object({ h: z.int(), w: z.int(), x: z.int(), y: z.int() }),
        targets: z.array(z.looseObject({ expr: z.string() })).default([]),
      }),
    )
    .parse(dashboard.panels);

  test("the file is what `npm run dashboards` writes", () => {
    const file = `grafana/generated/${dashboard.uid}.json`;
    expect(JSON.parse(read(file)) as unknown).toEqual(JSON.parse(JSON.stringify(dashboard)));
  });

  test("asks for series that there are, and says of each panel what to look for", () => {
    const asked = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.flatMap(unknownIn)).toEqual([]);
    for (const { type, description, title } of panels) {
      if (type !== "row") expect(description, title).toMatch(/\.$/);
    }
  });

  test("panels have ids of their own and do not overlap", () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { gridPos } of panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(x).toBeLessThan(24);
          expect(taken.has(`${x},${y}`)).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
    }
  });
});

describe("the collector", () => {
  const parts = z.record(z.string(), z.unknown());
  const config = z
    .strictObject({
      ...{ extensions: parts, receivers: parts, processors: parts, connectors: parts },
      exporters: parts,
      service: z.strictObject({
        extensions: z.array(z.string()),
        pipelines: z.record(
          z.string().regex(/^(traces|metrics)\//),
          z.strictObject({
            receivers: z.array(z.string()),
            processors: z.array(z.string()).default([]),
            exporters: z.array(z.string()),
          }),
        ),
      }),
    })
    .parse(parse(read("collector/collector.yaml")));
  const pipelines = Object.values(config.service.pipelines);

  test("every part that is named is there, and every part that is there is used", () => {
    const sorted = (names: readonly string[]): string[] => [...new Set(names)].toSorted();
    const links = Object.keys(config.connectors);
    expect(sorted(pipelines.flatMap(({ receivers }) => receivers))).toEqual(
      sorted([...Object.keys(config.receivers), ...links]),
    );
    expect(sorted(pipelines.flatMap(({ exporters }) => exporters))).toEqual(
      sorted([...Object.keys(config.exporters), ...links]),
    );
    expect(sorted(pipelines.flatMap(({ processors }) => processors))).toEqual(
      sorted(Object.keys(config.processors)),
    );
    expect(sorted(config.service.extensions)).toEqual(sorted(Object.keys(config.extensions)));
  });

  test("counts by attributes that the Worker's spans have", () => {
    const spans = readFileSync(path.join(root, "edge/src/observe/spans.ts"), "utf8");
    for (const name of spanDimensions()) expect(spans).toContain(`"${name}":`);
  });

  test("takes nothing from the internet without a token, and holds none", () => {
    expect(config.receivers["otlp/edge"]).toEqual({
      protocols: {
        http: { endpoint: "127.0.0.1:4319", auth: { authenticator: "bearertokenauth" } },
      },
    });
    // oxlint-disable-next-line no-template-curly-in-string
    expect(config.extensions["bearertokenauth"]).toMatchObject({ token: "${env:COLLECTOR_TOKEN}" });
  });
});
