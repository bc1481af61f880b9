// Which series a PromQL expression asks for: metric and labels, by the grammar of Prometheus's own editor.
import { parser } from "@prometheus-io/lezer-promql";

export interface Selected {
  readonly metric: string;
  /** Labels that are matched. */
  readonly labels: readonly string[];
}

/** Grafana's own interval stands for any. Throws for what is no PromQL. */
export function selectedBy(expression: string): Selected[] {
  const source = expression.replaceAll("$__rate_interval", "5m");
  const selected: { metric: string; labels: string[] }[] = [];
  parser.parse(source).iterate({
    enter({ type, from, to, node }) {
      if (type.isError) throw new Error(`no PromQL at ${from}: ${source}`);
      if (type.name === "VectorSelector") {
        const metric = node.getChild("Identifier");
        selected.push({
          metric: metric === null ? "" : source.slice(metric.from, metric.to),
          labels: [],
        });
      }
      if (type.name === "LabelName" && node.parent?.parent?.name === "LabelMatchers") {
        selected.at(-1)?.labels.push(source.slice(from, to));
      }
    },
  });
  return selected;
}
