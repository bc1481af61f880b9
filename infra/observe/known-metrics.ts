// The metrics that there are, read from where each is made or described: a node's from the page that a test holds
// to its registry, the Worker's from the collector that counts its spans.
import { readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const root = path.resolve(import.meta.dirname, "../..");
/** What Prometheus and Kubernetes add to every series. */
const everywhere = ["job", "instance", "namespace", "pod"];

/** Label names by the name of a series: a histogram's are those of its buckets, sums and counts. */
export type KnownMetrics = ReadonlyMap<string, ReadonlySet<string>>;

function addMetric(
  known: Map<string, ReadonlySet<string>>,
  name: string,
  type: string,
  labels: readonly string[],
): void {
  const all = new Set([...labels, ...everywhere]);
  if (type !== "histogram") known.set(name, all);
  else {
    for (const suffix of ["sum", "count"]) known.set(`${name}_${suffix}`, all);
    known.set(`${name}_bucket`, new Set([...all, "le"]));
  }
}

const collectorSchema = z.looseObject({
  connectors: z.object({
    spanmetrics: z.looseObject({
      namespace: z.string(),
      dimensions: z.array(z.object({ name: z.string() })),
    }),
  }),
});

/** The span attributes that the collector makes labels of. */
export function spanDimensions(): string[] {
  const text = readFileSync(path.join(import.meta.dirname, "collector/collector.yaml"), "utf8");
  return collectorSchema
    .parse(parse(text))
    .connectors.spanmetrics.dimensions.map(({ name }) => name);
}

export function knownMetrics(): KnownMetrics {
  const known = new Map<string, ReadonlySet<string>>();
  const page = readFileSync(path.join(root, "docs/observability.md"), "utf8");
  for (const [, name = "", type = "", labels = ""] of page.matchAll(
    /^\| `([a-z_0-9]+)` +\| (counter|gauge|histogram) +\|([^|]*)\|/gm,
  )) {
    addMetric(
      known,
      name,
      type,
      [...labels.matchAll(/`([^`]+)`/g)].map(([, label = ""]) => label),
    );
  }
  const labels = ["service_name", "span_name", "span_kind", "status_code"].concat(
    spanDimensions().map((name) => name.replaceAll(".", "_")),
  );
  addMetric(known, "blip2_edge_calls_total", "counter", labels);
  addMetric(known, "blip2_edge_duration_seconds", "histogram", labels);
  // Prometheus's own, and cloudflared's.
  addMetric(known, "up", "gauge", []);
  addMetric(known, "cloudflared_tunnel_ha_connections", "gauge", []);
  return known;
}
