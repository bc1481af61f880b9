// `blip2-edge namespaces show | set`: what a namespace holds and how it is kept, over the typed client.
import type { Client } from "@blip2-edge/shared/client";
import {
  namespaceUpdateRequestSchema,
  oneNamespaceSchema,
  type NamespaceInfo,
} from "@blip2-edge/shared/contracts/images";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import {
  clientOf,
  commonHelp,
  orUsage,
  parseFlags,
  runAction,
  usageError,
  type Command,
} from "./flags.ts";
import { sleep, type CliIo } from "./io.ts";

const usages = {
  show: "blip2-edge namespaces show NAME...",
  set: "blip2-edge namespaces set NAME --candidates embedded|vectorize [--wait]",
};
const namespacesUsage = "blip2-edge namespaces show | set";
export const namespacesHelp = `${Object.values(usages).join("\n")}

  --candidates STORE  where searches find their candidates; the Worker moves them behind the answer, and
                      searches are right all the time
  --wait              until they have moved, with progress on standard error; may be ended and asked again
${commonHelp}`;

/** Exit status: 0 when all that was asked is done. Errors: AppError, for the entry to print. */
export const namespaces: Command = async (args, io) =>
  runAction("namespaces", actions, args, io, namespacesUsage);

const pollMs = 1000;

const actions: Readonly<Record<keyof typeof usages, Command>> = {
  async show(args, io) {
    const { values, positionals } = parseFlags(args, {}, usages.show);
    if (positionals.length === 0) throw usageError("Give at least one namespace", usages.show);
    const asked = positionals.map((namespace) =>
      orUsage(usages.show, () => parseOrRefuse(oneNamespaceSchema, { namespace })),
    );
    const client = clientOf(values, io, usages.show);
    for (const one of asked) {
      tell(await client.namespaceRead(one, { signal: io.signal }), values.json, io);
    }
    return 0;
  },

  async set(args, io) {
    const usage = usages.set;
    const { values, positionals } = parseFlags(
      args,
      { candidates: { type: "string" }, wait: { type: "boolean", default: false } },
      usage,
    );
    const [namespace, ...more] = positionals;
    if (namespace === undefined || more.length > 0) throw usageError("Give one namespace", usage);
    const { candidates } = values;
    if (candidates === undefined) throw usageError("Give --candidates", usage);
    const asked = orUsage(usage, () =>
      parseOrRefuse(namespaceUpdateRequestSchema, { namespace, candidates }),
    );
    const client = clientOf(values, io, usage);
    let info = await client.namespaceUpdate(asked, { signal: io.signal });
    if (values.wait) info = await moved(client, info, io);
    tell(info, values.json, io);
    return 0;
  },
};

/** Once nothing waits or leaves any more. */
async function moved(client: Client, begun: NamespaceInfo, io: CliIo): Promise<NamespaceInfo> {
  let info = begun;
  for (;;) {
    const { moving_to: to, waiting, leaving, fault } = info.candidates;
    if (to === null && waiting === 0 && leaving === 0) return info;
    const why = fault === null ? "" : `; ${fault}`;
    io.stderr(`${waiting} wait, ${leaving} are to be deleted from Vectorize${why}`);
    await sleep(pollMs, io);
    info = await client.namespaceRead({ namespace: info.namespace }, { signal: io.signal });
  }
}

function tell(info: NamespaceInfo, json: boolean, io: CliIo): void {
  if (json) return io.stdout(JSON.stringify(info));
  const { namespace, images, pictures, model, candidates } = info;
  const { store, moving_to: to } = candidates;
  const where = to === null ? store : `${store}, moving to ${to}`;
  const by = model === null ? [] : [`by ${model}`];
  const held = [`${images} images`, `${pictures} pictures`, ...by];
  io.stdout([namespace, ...held, `candidates: ${where}`].join("  "));
}
