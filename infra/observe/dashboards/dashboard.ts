// Grafana's dashboard model, as much of it as ours need: rows of panels of equal width, all of one Prometheus.
// What a panel asks is written by whoever calls; what it looks like is the same everywhere.

export interface PanelSpec {
  readonly title: string;
  /** What to look for, in a sentence. */
  readonly says: string;
  /** One of Grafana's units: s, bytes, reqps, percentunit, short. */
  readonly unit: string;
  /** PromQL by legend. */
  readonly queries: Readonly<Record<string, string>>;
  readonly kind?: "timeseries" | "stat";
  readonly stacked?: boolean;
}

export interface DashboardSpec {
  readonly uid: string;
  readonly title: string;
  readonly says: string;
  /** Name of a variable and the PromQL metric and label whose values it takes. */
  readonly variables: Readonly<Record<string, string>>;
  readonly rows: Readonly<Record<string, readonly PanelSpec[]>>;
}

const datasource = { type: "prometheus", uid: "${datasource}" };
const gridWidth = 24;
const panelHeight = 8;

const variable = (name: string, query: string) => ({
  name,
  type: "query",
  datasource,
  query: { query: `label_values(${query})`, refId: name },
  refresh: 2,
  multi: true,
  includeAll: true,
  allValue: ".*",
  current: { text: "All", value: "$__all" },
  sort: 1,
});

const options = {
  timeseries: {
    legend: { displayMode: "list", placement: "bottom", showLegend: true },
    tooltip: { mode: "multi", sort: "desc" },
  },
  stat: {
    colorMode: "value",
    graphMode: "area",
    reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
  },
};

function panel(spec: PanelSpec, place: Readonly<Record<"id" | "w" | "x" | "y", number>>) {
  const { title, says, unit, queries, kind = "timeseries", stacked = false } = spec;
  const { id, ...gridPos } = place;
  return {
    id,
    type: kind,
    title,
    description: says,
    gridPos: { h: panelHeight, ...gridPos },
    datasource,
    targets: Object.entries(queries).map(([legendFormat, expr], at) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + at),
      datasource,
      expr,
      legendFormat,
    })),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        ...(kind === "stat"
          ? {}
          : {
              custom: {
                drawStyle: "line",
                fillOpacity: stacked ? 30 : 8,
                showPoints: "never",
                spanNulls: false,
                stacking: { mode: stacked ? "normal" : "none", group: "A" },
              },
            }),
      },
      overrides: [],
    },
    options: options[kind],
  };
}

/** The JSON that Grafana imports. */
export function dashboard({ uid, title, says, variables, rows }: DashboardSpec) {
  const panels: unknown[] = [];
  let [id, y] = [1, 0];
  for (const [row, specs] of Object.entries(rows)) {
    panels.push({
      ...{ id, type: "row", title: row, collapsed: false, panels: [] },
      gridPos: { h: 1, w: gridWidth, x: 0, y },
    });
    id += 1;
    y += 1;
    const w = Math.floor(gridWidth / specs.length);
    for (const [at, spec] of specs.entries()) {
      panels.push(panel(spec, { id, w, x: at * w, y }));
      id += 1;
    }
    y += panelHeight;
  }
  return {
    uid,
    title,
    description: says,
    tags: ["blip2-edge"],
    timezone: "browser",
    schemaVersion: 41,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    annotations: { list: [] },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", refresh: 1 },
        ...Object.entries(variables).map(([name, query]) => variable(name, query)),
      ],
    },
    panels,
  };
}
