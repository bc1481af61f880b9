// wrangler.jsonc as a deployment reads it, and what wrangler is given in its place.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { namesIn, optionalBindings, readSourceConfig } from "./source-config.ts";
import { wantedOf } from "./wanted.ts";
import { migrationOf, workerConfig } from "./worker-config.ts";

const root = path.resolve(import.meta.dirname, "../..");
const text = readFileSync(path.join(root, "edge/wrangler.jsonc"), "utf8");
const settings = { vars: { MCP_HOSTS: "see.example.com" }, workersDev: false } as const;
const titles = { "blip2-edge-results": "kv-1", "blip2-edge-oauth-kv": "kv-2" } as const;
const sources = { digest: "digest", migration: "0002_b.sql" } as const;
const ids = { database: "d1-id", namespaces: titles };

test("production is wrangler.jsonc with the ids of an account, and nothing else is different", () => {
  const source = readSourceConfig(text, []);
  const { config, deployment } = workerConfig(source, "production", ids, settings, sources);
  const { NODE_URL: _placeholder, ...vars } = source.vars;
  expect(config).toEqual({
    ...source,
    ...{ workers_dev: false, preview_urls: false },
    d1_databases: [{ ...source.d1_databases[0], database_id: "d1-id" }],
    kv_namespaces: [
      { binding: "RESULTS", id: "kv-1" },
      { binding: "OAUTH_KV", id: "kv-2" },
    ],
    vars: { ...vars, MCP_HOSTS: "see.example.com", DEPLOYMENT: deployment },
  });
});

test("what is deployed has a name of its own: of sources, ids, variables and bindings", () => {
  const source = readSourceConfig(text, []);
  const digests = [
    workerConfig(source, "production", ids, settings, sources),
    workerConfig(source, "production", ids, settings, { ...sources, digest: "another" }),
    workerConfig(source, "production", { ...ids, database: "d1-new" }, settings, sources),
    workerConfig(source, "production", ids, { ...settings, vars: {} }, sources),
    workerConfig(source, "staging", ids, settings, sources),
    workerConfig(readSourceConfig(text, ["images"]), "production", ids, settings, sources),
  ].map(({ deployment }) => deployment);
  expect(new Set(digests).size).toBe(digests.length);
  expect(migrationOf(digests[0] ?? "")).toBe("0002_b.sql");
  expect(workerConfig(source, "production", ids, settings, sources).deployment).toBe(digests[0]);
});

test("no name of another environment is one of production's", () => {
  const source = readSourceConfig(text, optionalBindings);
  const all = (environment: string) =>
    Object.values(namesIn(source, environment)).flatMap((value: unknown) =>
      typeof value === "string" ? [value] : Object.values(value as Record<string, string>),
    );
  expect(all("production")).toContain("blip2-edge-candidates");
  for (const name of all("staging")) expect(all("production")).not.toContain(name);
  const written = JSON.stringify(workerConfig(source, "staging", ids, settings, sources).config);
  for (const name of ["blip2-edge-pixels", "blip2-edge-jobs", "blip2-edge-candidates"]) {
    expect(written).not.toContain(`"${name}"`);
  }
  expect(written).toContain('"dataset":"blip2_edge_usage_staging"');
});

test("every binding that stands there as a comment can be used; what is not known is refused", () => {
  for (const name of optionalBindings) {
    expect(Object.keys(readSourceConfig(text, [name]))).toContain(name);
    expect(readSourceConfig(text, [])[name]).toBeUndefined();
  }
  expect(() => readSourceConfig(text, ["hyperdrive"])).toThrow(/no comment/);
  const more = text.replace('"send_metrics"', '"hyperdrive": [],\n  "send_metrics"');
  expect(() => readSourceConfig(more, [])).toThrow(/hyperdrive/);
});

test("settings with which the Worker would not start are refused before anything is asked", () => {
  const input = {
    ...{ source: readSourceConfig(text, []), environment: "production", migrations: [] },
    ...{ sources: "", tenant: "main", workersDev: undefined, adopt: false },
  };
  const said = { nodes: { "gpu-1": "https://gpu-1.example.com" }, vars: {}, use: [] };
  expect(wantedOf({ ...input, said: { ...said, nodes: {} } }).nodeIds).toEqual([]);
  expect(() => wantedOf({ ...input, said: { ...said, vars: { KEY_TTL_MS: "soon" } } })).toThrow(
    /KEY_TTL_MS/,
  );
  const listed = { ...said, nodes: {}, vars: { NODE_URL: "https://node.example.com" } };
  expect(wantedOf({ ...input, said: listed }).nodeIds).toEqual(["node-1"]);
});

test("migrations only add: the version before runs on what the next one made", () => {
  const folder = path.join(root, "edge/migrations");
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".sql"))) {
    const sql = readFileSync(path.join(folder, file), "utf8").replaceAll(/^\s*--.*$/gm, "");
    expect(sql, file).not.toMatch(/\b(DROP|RENAME)\b/i);
  }
});
