// What must be true of a release, each a check that names what is wrong. None of it builds or runs the product: that is
// what `npm run check` and `npm run verify` are for.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { protocolVersion } from "@blip2-edge/shared/wire/protocol";
import { goldenSchema, readersToday } from "../../test/golden/protocol/golden.ts";
import { scenarios } from "../../test/golden/protocol/scenarios.ts";
import { isCurrent, readDependencies } from "../licences.ts";
import { missingFromSbom } from "../sbom.ts";
import { statedVersions } from "./versions.ts";

export interface Check {
  readonly what: string;
  /** What is wrong; empty when nothing is. */
  faults(root: string, version: string): readonly string[];
}

const read = (root: string, file: string): string => readFileSync(path.join(root, file), "utf8");

export const checks: readonly Check[] = [
  {
    what: "one version everywhere",
    faults: (root, version) =>
      statedVersions(root)
        .filter((stated) => stated.version !== version)
        .map((stated) => `${stated.where} says ${stated.version}, not ${version}`),
  },
  {
    what: "CHANGELOG.md",
    faults(root, version) {
      const [latest = "no heading"] = /^## .*$/m.exec(read(root, "CHANGELOG.md")) ?? [];
      return new RegExp(`^## ${version.replaceAll(".", "\\.")} \\(\\d{4}-\\d\\d-\\d\\d\\)$`).test(
        latest,
      )
        ? []
        : [
            `its first heading is "${latest}", not "## ${version} (its day)": npm run release -- ${version}`,
          ];
    },
  },
  {
    what: "the golden of the protocol",
    faults(root, version) {
      const file = `test/golden/protocol/${protocolVersion}/${version}.json`;
      if (!existsSync(path.join(root, file)))
        return [`${file} is missing: node test/golden/protocol/make.ts`];
      const golden = goldenSchema.parse(JSON.parse(read(root, file)));
      const missing = Object.keys(scenarios).filter((name) => golden.scenarios[name] === undefined);
      const isToday = isDeepStrictEqual(golden.readers, readersToday());
      return [
        ...missing.map((name) => `${file} lacks the scenario ${name}`),
        ...(isToday ? [] : [`${file} does not read as this version reads`]),
      ].map((fault) => `${fault}: node test/golden/protocol/make.ts --again`);
    },
  },
  {
    what: "the golden of Durable Objects",
    faults(root, version) {
      const file = `test/golden/objects/released/${version}.json`;
      return existsSync(path.join(root, file))
        ? []
        : [`${file} is missing: node test/golden/objects/make.ts`];
    },
  },
  {
    what: "migrations and their way back",
    faults(root) {
      const folder = path.join(root, "edge/migrations");
      const names = readdirSync(folder).filter((name) => name.endsWith(".sql"));
      return names
        .filter((name) => !existsSync(path.join(folder, "down", name)))
        .map((name) => `edge/migrations/down/${name} is missing`);
    },
  },
  {
    what: "docs/licences.md",
    faults: (root) =>
      isCurrent(read(root, "docs/licences.md"), readDependencies(root))
        ? []
        : ["it is not what the lockfile says: npm run licences"],
  },
  {
    what: "the list of components (SBOM)",
    faults: (root) => missingFromSbom(root).map((name) => `${name} ships and is not in it`),
  },
];
