// What an operator has said of an environment: edge/environments/NAME.json, which holds no secret and may be committed.
// What was said once on the command line is kept there, so that the next run says the same.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { DeployError } from "./deploy-error.ts";
import type { DeployOptions } from "./options.ts";
import { optionalBindings } from "./source-config.ts";

const environmentSchema = z.strictObject({
  /** The Worker's own host name; without it the Worker answers under workers.dev. */
  domain: z.string().optional(),
  /** Origins by the id of their key. */
  nodes: z.record(z.string(), z.string()).default({}),
  /** Variables of the Worker. */
  vars: z.record(z.string(), z.string()).default({}),
  /** Bindings that stand in wrangler.jsonc as comments. */
  use: z.array(z.enum(optionalBindings)).default([]),
});
export type Environment = z.infer<typeof environmentSchema>;

const fileOf = (folder: string, name: string): string => path.join(folder, `${name}.json`);

/** What is said in the file; nothing where there is none. Throws DeployError. */
export async function readEnvironment(folder: string, name: string): Promise<Environment> {
  const file = fileOf(folder, name);
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return environmentSchema.parse({});
    throw error;
  }
  try {
    return environmentSchema.parse(JSON.parse(text));
  } catch (error) {
    const why =
      error instanceof z.ZodError
        ? error.issues.map(({ path: at, message }) => `${at.join(".")}: ${message}`).join("; ")
        : String(error);
    throw new DeployError(`${file} cannot be understood: ${why}.`, "Correct it, or delete it.", {
      cause: error,
    });
  }
}

/** With what the command line says: an empty variable goes, everything else stays or is added. */
export function withOptions(
  said: Environment,
  { domain, nodes, vars, use }: Pick<DeployOptions, "domain" | "nodes" | "vars" | "use">,
): Environment {
  const together = { ...said.vars, ...vars };
  const used = optionalBindings.filter((name) => said.use.includes(name) || use.includes(name));
  return {
    ...said,
    ...(domain === undefined ? {} : { domain }),
    nodes: { ...said.nodes, ...nodes },
    vars: Object.fromEntries(Object.entries(together).filter(([, value]) => value !== "")),
    use: used,
  };
}

/** Writes the file when it says something else; whether it did. */
export async function writeEnvironment(
  folder: string,
  name: string,
  environment: Environment,
): Promise<boolean> {
  const before = await readEnvironment(folder, name);
  if (JSON.stringify(before) === JSON.stringify(environment)) return false;
  await mkdir(folder, { recursive: true });
  const file = fileOf(folder, name);
  await writeFile(`${file}.tmp`, `${JSON.stringify(environment, null, 2)}\n`);
  await rename(`${file}.tmp`, file);
  return true;
}
