// The manifests of this folder as data: YAML files, units, and what Kustomize makes of an overlay where kubectl
// is installed. For tests; nothing here deploys.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

export const here = import.meta.dirname;

const objectSchema = z.looseObject({ apiVersion: z.string(), kind: z.string() });
export type KubernetesObject = z.infer<typeof objectSchema>;

/** Every document; throws with the place of what is no YAML, duplicate keys included. */
export function readYaml(file: string): unknown[] {
  return parseAllDocuments(readFileSync(file, "utf8"), { uniqueKeys: true, merge: true }).map(
    (document) => {
      const [fault] = [...document.errors, ...document.warnings];
      if (fault !== undefined) throw new Error(`${file}: ${fault.message}`);
      return document.toJS() as unknown;
    },
  );
}

/** Every YAML file below a folder, by its path in it. */
export function yamlFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => path.join(folder, name))
    .toSorted();
}

export const kubernetesFolder = path.join(here, "kubernetes");

const asObjects = (documents: readonly unknown[]): KubernetesObject[] =>
  documents.map((document) => objectSchema.parse(document));

/** Of the base's files, as they stand: without names of generated maps and what overlays change. */
export const baseObjects = (): KubernetesObject[] =>
  yamlFiles(path.join(kubernetesFolder, "base"))
    .filter((file) => !/(kustomization|tunnel-config)\.yaml$/.test(file))
    .flatMap((file) => asObjects(readYaml(file)));

export const hasKubectl = (): boolean => {
  try {
    execFileSync("kubectl", ["version", "--client"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
};

/** What `kubectl apply -k` would apply. */
export function rendered(folder: string): KubernetesObject[] {
  const text = execFileSync("kubectl", ["kustomize", folder], { encoding: "utf8" });
  return asObjects(parseAllDocuments(text).map((document) => document.toJS() as unknown));
}

/** A unit's settings: section, name, value, in their order; a name may come twice. */
export function readUnit(file: string): readonly (readonly [string, string, string])[] {
  let section = "";
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^[#;]/.test(line))
    .flatMap((line) => {
      const head = /^\[(\w+)\]$/.exec(line);
      if (head !== null) section = head[1] ?? "";
      const setting = /^(\w+)=(.*)$/.exec(line);
      if (head === null && setting === null) throw new Error(`${file}: no setting: ${line}`);
      return setting === null ? [] : [[section, setting[1] ?? "", setting[2] ?? ""] as const];
    });
}

/** Flags of a command line, `--name value` or `--name=value`; the last of each name. */
export function flagsOf(args: readonly string[]): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const [at, arg] of args.entries()) {
    const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/.exec(arg) ?? [];
    if (name !== undefined) flags[name] = value ?? args[at + 1] ?? "";
  }
  return flags;
}
