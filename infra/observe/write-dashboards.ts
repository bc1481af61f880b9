// `npm run dashboards`: writes what Grafana imports from infra/observe/dashboards. A test holds the files to it.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { edgeDashboard } from "./dashboards/edge-dashboard.ts";
import { nodeDashboard } from "./dashboards/node-dashboard.ts";

const folder = path.join(import.meta.dirname, "grafana/generated");
await mkdir(folder, { recursive: true });
for (const dashboard of [nodeDashboard, edgeDashboard]) {
  const file = path.join(folder, `${dashboard.uid}.json`);
  await writeFile(file, `${JSON.stringify(dashboard, null, 2)}\n`);
}
