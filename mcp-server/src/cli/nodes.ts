// `blip2-edge nodes list | token | rotate | remove`: the machines behind a Worker, for operators, over the typed client.
import {
  createNodeTokenRequestSchema,
  type Node,
  rotateNodeRequestSchema,
} from "@blip2-edge/shared/contracts/nodes";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { eachId } from "./each-id.ts";
import {
  clientOf,
  commonHelp,
  countOf,
  orUsage,
  parseFlags,
  placeOf,
  runAction,
  usageError,
  type Command,
} from "./flags.ts";
import { plain } from "./plain.ts";

const usages = {
  list: "blip2-edge nodes list",
  token: "blip2-edge nodes token NAME --origin ORIGIN [--expires-in MINUTES]",
  rotate: "blip2-edge nodes rotate NAME... [--overlap SECONDS]",
  remove: "blip2-edge nodes remove NAME...",
};

const nodesUsage = "blip2-edge nodes list | token | rotate | remove";
export const nodesHelp = `${Object.values(usages).join("\n")}

Needs an operator key (OPERATOR_KEYS of the Worker). \`token\` prints, alone on standard output, what lets one box join as
NAME, once; \`rotate\` has a node come for a new key with its next heartbeat; \`remove\` sends it away: it gets no more
requests, finishes what it has, and ends.

  --origin ORIGIN       where the node may say that it is: https://gpu-1.example.com; * may stand for the first label
                        of the host, and for the port
  --expires-in MINUTES  of a token; default: an hour
  --overlap SECONDS     how long the old key holds once the node uses the new one; default: an hour
${commonHelp}`;

/** Exit status: 0 when all that was asked is done. Errors: AppError, for the entry to print. */
export const nodes: Command = async (args, io) => runAction("nodes", actions, args, io, nodesUsage);

const actions: Readonly<Record<keyof typeof usages, Command>> = {
  async list(args, io) {
    const { values, positionals } = parseFlags(args, {}, usages.list);
    if (positionals.length > 0) throw usageError("It takes no arguments", usages.list);
    const client = clientOf(values, io, usages.list);
    for (const node of (await client.nodeList({ signal: io.signal })).nodes) {
      io.stdout(values.json ? JSON.stringify(node) : lineOf(node));
    }
    return 0;
  },

  async token(args, io) {
    const usage = usages.token;
    const text = { type: "string" } as const;
    const flags = { origin: text, "expires-in": text };
    const { values, positionals } = parseFlags(args, flags, usage);
    const [name, ...more] = positionals;
    if (name === undefined || more.length > 0) throw usageError("Give the node one name", usage);
    if (values.origin === undefined) throw usageError("Say with --origin where it will be", usage);
    const minutes = countOf("--expires-in", values["expires-in"], usage);
    const asked = {
      ...{ name, origin: values.origin },
      ...(minutes === undefined ? {} : { expires_in_s: minutes * 60 }),
    };
    const request = orUsage(usage, () => parseOrRefuse(createNodeTokenRequestSchema, asked));
    const made = await clientOf(values, io, usage).nodeTokenCreate(request, { signal: io.signal });
    io.stdout(values.json ? JSON.stringify(made) : made.token);
    if (values.json) return 0;
    const { url } = placeOf(values, io, usage);
    io.stderr(
      `It lets one box join as ${made.name} until ${made.expires_at}, and is not shown again:`,
    );
    io.stderr(`  BLIP2_JOIN_TOKEN=TOKEN blip2 join --edge ${url} --model DIR`);
    return 0;
  },

  async rotate(args, io) {
    const usage = usages.rotate;
    const { values, positionals } = parseFlags(args, { overlap: { type: "string" } }, usage);
    if (positionals.length === 0) throw usageError("Give the name of a node", usage);
    const overlapS = countOf("--overlap", values.overlap, usage);
    const requests = positionals.map((name) =>
      orUsage(usage, () =>
        parseOrRefuse(rotateNodeRequestSchema, {
          name,
          ...(overlapS === undefined ? {} : { overlap_s: overlapS }),
        }),
      ),
    );
    const client = clientOf(values, io, usage);
    return eachId(positionals, io, async (name) => {
      const request = requests.find((each) => each.name === name) ?? { name };
      const node = await client.nodeRotate(request, { signal: io.signal });
      io.stdout(
        values.json
          ? JSON.stringify(node)
          : `${name} comes for the key ${node.key_ids[0]} with its next heartbeat`,
      );
    });
  },

  async remove(args, io) {
    const { values, positionals } = parseFlags(args, {}, usages.remove);
    if (positionals.length === 0) throw usageError("Give the name of a node", usages.remove);
    const client = clientOf(values, io, usages.remove);
    return eachId(positionals, io, async (name) => {
      const node = await client.nodeRemove({ name }, { signal: io.signal });
      io.stdout(
        values.json
          ? JSON.stringify(node)
          : `${name} gets no more requests, and ends when it is done`,
      );
    });
  },
};

/** What a node says of itself goes through `plain`. */
function lineOf(node: Node): string {
  const signs = node.key_id === null ? (node.key_ids[0] ?? "no key of its own") : node.key_id;
  const held = node.models.map(({ model, model_revision }) => `${model} ${model_revision}`);
  return [
    ...[node.name, (node.state ?? "never heard of").padEnd(9)],
    ...[node.url ?? node.origin ?? "nowhere yet", signs],
    ...(node.jobs === null ? [] : [`${node.jobs} jobs`]),
    ...(node.heard_at === null ? [] : [`heard ${node.heard_at}`]),
    ...(held.length === 0 ? [] : [held.join(", ")]),
  ]
    .map(plain)
    .join("  ");
}
