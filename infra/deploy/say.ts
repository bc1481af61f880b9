// The longer things that a deployment says: what a dry run shows, and what comes after a deployment. No secret is in them
// but the admin key, once, and only for a person.
import path from "node:path";
import type { Environment } from "./environment.ts";
import { permissionFor } from "./explain.ts";
import { describe, secretsToSet, type Step } from "./plan.ts";
import type { SecretStore } from "./secrets.ts";
import { nothingThere } from "./there.ts";
import type { Wanted } from "./wanted.ts";

const permissionsOf = ({ domain, index }: Wanted): string[] => [
  ...["", "/workers/", "/d1/", "/storage/kv/", "/r2/", "/queues"].map(permissionFor),
  ...(index === undefined ? [] : [permissionFor("/vectorize/")]),
  ...(domain === undefined ? [] : [permissionFor("/workers/domains")]),
];

export function dryRunLines(wanted: Wanted, steps: readonly Step[], host: string): string[] {
  const { vars } = wanted.config({ database: "", namespaces: {} }, host).config as {
    vars: Record<string, string>;
  };
  return [
    "Dry run: no account is asked, and nothing is written.",
    "",
    `The token of "${wanted.environment}" needs: ${permissionsOf(wanted).join("; ")}.`,
    `Made here and given to Cloudflare: ${secretsToSet(wanted, nothingThere).join(", ")}.`,
    "",
    "In an empty account the steps are:",
    "  0. check the token, the account, its plan, and that nothing of these names is another's",
    ...steps.map((step, at) => `  ${at + 1}. ${describe(step)}`),
    `  ${steps.length + 1}. try https://${host}: /healthz, /openapi.json, a refusal without a key, /mcp, a caption`,
    "",
    "Variables of the Worker:",
    ...Object.entries(vars)
      .filter(([name]) => name !== "DEPLOYMENT")
      .map(([name, value]) => `  ${name}=${value}`),
  ];
}

interface After {
  readonly host: string;
  readonly said: Environment;
  readonly secrets: SecretStore;
  /** The admin key was made in this run. */
  readonly made: boolean;
  readonly shown: boolean;
  /** No node answers yet. */
  readonly waits: boolean;
}

const relative = (file: string): string => path.relative(process.cwd(), file) || file;

/** How a first node comes: by joining, or with a key of the settings where the environment names nodes. */
async function nodeLines({ host, said, secrets }: After): Promise<string[]> {
  const lines = [];
  for (const [id, origin] of Object.entries(said.nodes)) {
    const file = await secrets.nodeKeysFile(id);
    if (file === undefined) continue;
    lines.push(
      `  Node ${id}: copy ${relative(file)} to its box as /etc/blip2/node-keys; a tunnel ends at ${origin} (docs/operate.md);`,
      `    blip2 serve --model DIR --keys-file /etc/blip2/node-keys --announce https://${host} --announce-as ${origin}`,
    );
  }
  return lines.length > 0
    ? lines
    : [
        "  A node joins (docs/operate.md): here, with the operator key,",
        `    BLIP2_URL=https://${host} BLIP2_API_KEY=… npm run blip2-edge -- nodes token gpu-1 --origin https://gpu-1.example.com`,
        "  and on its box, where a tunnel ends at that origin,",
        `    BLIP2_JOIN_TOKEN=… blip2 join --edge https://${host} --model DIR`,
      ];
}

export async function nextLines(after: After): Promise<string[]> {
  const { host, secrets, made, shown, waits } = after;
  const lines = ["", `blip2-edge answers at https://${host}`];
  const { admin } = secrets.get();
  if (made && admin?.key !== undefined) {
    lines.push(
      shown
        ? `The first admin key, shown this once: ${admin.key}`
        : `The first admin key is in ${relative(secrets.file)}.`,
      `Put ${relative(secrets.file)} where you keep your secrets: PARTITION_SECRET is in no other place that can be read.`,
      "The operator key is there too (OPERATOR_KEYS).",
    );
  }
  return [
    ...lines,
    ...["", "What next:"],
    ...(waits ? await nodeLines(after) : []),
    `  BLIP2_URL=https://${host} BLIP2_API_KEY=… npm run blip2-edge -- doctor`,
    "  What is there: npm run deploy -- status. Back: npm run deploy -- rollback.",
  ];
}
