// The plan by itself: whatever of it is there already, the rest is planned, in an order that can be carried out, and what
// it makes needs no plan.
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { plan, secretsToSet, type Step } from "./plan.ts";
import { readSourceConfig } from "./source-config.ts";
import { nothingThere, type There } from "./there.ts";
import { wantedOf } from "./wanted.ts";

const source = readSourceConfig(
  readFileSync(path.resolve(import.meta.dirname, "../../edge/wrangler.jsonc"), "utf8"),
  ["vectorize"],
);
const wanted = wantedOf({
  ...{ source, environment: "staging", tenant: "main", workersDev: "acme", adopt: false },
  ...{ migrations: ["0001_a.sql", "0002_b.sql"], sources: "digest" },
  said: { domain: "see.example.com", vars: {}, nodes: { n: "https://n.example.com" }, use: [] },
});
const held = { names: ["PARTITION_SECRET", "OPERATOR_KEYS"], nodeIds: ["n"], adminAsked: false };
const planOf = (there: There) => plan(wanted, there, { ...held, file: "secrets.json" });

const database = { id: "new", applied: [], tables: [], hasKeys: false, hasAdminKey: false };

/** What a step leaves behind, without an account. */
function after(step: Step, there: There): There {
  switch (step.kind) {
    case "subdomain":
      return { ...there, subdomain: step.name };
    case "database":
      return { ...there, database };
    case "namespace":
      return { ...there, namespaces: { ...there.namespaces, [step.title]: "new" } };
    case "bucket":
      return { ...there, buckets: [...there.buckets, step.name] };
    case "queue":
      return { ...there, queues: [...there.queues, { name: step.name, consumers: [] }] };
    case "index":
      return { ...there, indexes: [...there.indexes, step] };
    case "migrate": {
      if (there.database === undefined) throw new Error("migrated before it was made");
      const applied = [...there.database.applied, ...step.names];
      return { ...there, database: { ...there.database, applied, tables: ["api_keys"] } };
    }
    case "deploy": {
      const ids = { database: there.database?.id ?? "", namespaces: there.namespaces };
      const { deployment } = wanted.config(ids, "see.example.com");
      const secrets = [...new Set([...(there.worker?.secrets ?? []), ...step.secrets])];
      const worker = {
        ...{ version: "v", deployedAt: "", deployment, secrets, nodeIds: ["n"] },
        ...{ crons: wanted.crons, onWorkersDev: false },
      };
      const queues = there.queues.map(({ name }) => ({ name, consumers: [wanted.names.worker] }));
      return { ...there, worker, queues };
    }
    case "domain":
      return { ...there, domainOf: wanted.names.worker };
    case "admin-key": {
      if (there.worker === undefined) throw new Error("asked before it was deployed");
      const done = { ...database, ...there.database, hasKeys: true, hasAdminKey: true };
      return { ...there, database: done };
    }
  }
}

const carriedOut = (there: There): There =>
  planOf(there).reduce((now, step) => after(step, now), there);
const whole = carriedOut(nothingThere);

test("the plan of an empty account makes everything, and then nothing is left", () => {
  expect(planOf(nothingThere).map(({ kind }) => kind)).toEqual([
    ...["database", "namespace", "namespace", "bucket", "bucket", "queue", "index"],
    ...["migrate", "deploy", "domain", "admin-key"],
  ]);
  expect(planOf(whole)).toEqual([]);
  expect(secretsToSet(wanted, nothingThere)).toEqual([
    ...["PARTITION_SECRET", "OPERATOR_KEYS", "LINK_SECRETS", "NODE_KEYS"],
  ]);
});

test("after each step exactly the steps behind it are left", () => {
  let there = nothingThere;
  for (let steps = planOf(there); steps.length > 0; steps = steps.slice(1)) {
    expect(planOf(there).map(({ kind }) => kind)).toEqual(steps.map(({ kind }) => kind));
    there = after(steps[0] as Step, there);
  }
  expect(there).toEqual(whole);
});

const titles = Object.fromEntries(
  Object.values(wanted.names.namespaces).map((title) => [title, `id of ${title}`]),
);
const deployed = wanted.config({ database: "d", namespaces: titles }, "see.example.com").deployment;
const some = <T>(items: readonly T[]) => fc.subarray([...items]);
const anyThere: fc.Arbitrary<There> = fc.record({
  subdomain: fc.constantFrom(undefined, "acme"),
  database: fc.option(
    fc.record({
      id: fc.constantFrom("d", "another"),
      applied: some(wanted.migrations),
      tables: fc.constant([]),
      hasKeys: fc.boolean(),
      hasAdminKey: fc.boolean(),
    }),
    { nil: undefined },
  ),
  namespaces: some(Object.entries(titles)).map((entries) => Object.fromEntries(entries)),
  buckets: some([...whole.buckets, "somebody-elses"]),
  queues: some(whole.queues).chain((queues) =>
    fc.boolean().map((idle) => queues.map((each) => (idle ? { ...each, consumers: [] } : each))),
  ),
  indexes: some(whole.indexes),
  worker: fc.option(
    fc.record({
      ...{ version: fc.constant("v"), deployedAt: fc.constant("") },
      deployment: fc.constantFrom(deployed, "older"),
      secrets: some(whole.worker?.secrets ?? []),
      nodeIds: fc.constant(["n"]),
      crons: some(wanted.crons),
      onWorkersDev: fc.boolean(),
    }),
    { nil: undefined },
  ),
  domainOf: fc.constantFrom(undefined, wanted.names.worker),
});

test("whatever is there, a carried out plan leaves nothing to do, and takes nothing away", () => {
  fc.assert(
    fc.property(anyThere, (there) => {
      const end = carriedOut(there);
      expect(planOf(end)).toEqual([]);
      expect(end.buckets).toEqual(expect.arrayContaining([...there.buckets]));
      expect(end.database?.id).toBe(there.database?.id ?? "new");
      for (const secret of there.worker?.secrets ?? []) {
        for (const step of planOf(there)) {
          if (step.kind === "deploy" && there.worker?.nodeIds.includes("n") === true) {
            expect(step.secrets).not.toContain(secret);
          }
        }
      }
    }),
  );
});

test("a plan that is broken off after any of its steps has the rest of them as its plan", () => {
  fc.assert(
    fc.property(anyThere, fc.nat(12), (there, at) => {
      const steps = planOf(there);
      const broken = steps.slice(0, at).reduce((now, step) => after(step, now), there);
      expect(planOf(broken).map(({ kind }) => kind)).toEqual(
        steps.slice(at).map(({ kind }) => kind),
      );
      expect(carriedOut(broken)).toEqual(carriedOut(there));
    }),
  );
});
