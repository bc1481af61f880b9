// `blip2-edge backfill …`: a CMS's library gone through by the Worker. The command starts it, follows it and halts it; the
// work is the Worker's and goes on without it.
import type { Client } from "@blip2-edge/shared/client";
import {
  createBackfillRequestSchema,
  listBackfillsQuerySchema,
  oneBackfillSchema,
  resumeBackfillSchema,
  type Backfill,
} from "@blip2-edge/shared/contracts/backfills";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { everyPage } from "./every-page.ts";
import {
  clientOf,
  commonHelp,
  countOf,
  ids,
  orUsage,
  parseFlags,
  runAction,
  usageError,
  type Command,
} from "./flags.ts";
import { sleep, type CliIo } from "./io.ts";
import { plain } from "./plain.ts";

const usages = {
  start: "blip2-edge backfill CONNECTION [--rate N] [--limit N] [--all] [--dry-run] [--wait]",
  list: "blip2-edge backfill list [CONNECTION]",
  show: "blip2-edge backfill show ID [--wait]",
  pause: "blip2-edge backfill pause ID",
  resume: "blip2-edge backfill resume ID [--rate N] [--wait]",
  cancel: "blip2-edge backfill cancel ID",
};

const backfillUsage = "blip2-edge backfill CONNECTION | list | show | pause | resume | cancel";
export const backfillHelp = `${Object.values(usages).join("\n")}

The pictures without alt text of a CMS are described in the background, behind what comes in fresh, each once.

  --rate N     pictures a minute; default 60
  --limit N    so many pictures and no more
  --all        those with alt text too, where the CMS can list them; words of others are left alone all the same
  --dry-run    only counts them
  --wait       until it is over, with progress on standard error. Ctrl-C ends the waiting and not the backfill.
               Exit status 0 only when it went through and no picture failed
${commonHelp}`;

const text = { type: "string" } as const;
const flag = { type: "boolean", default: false } as const;
const pollMs = 2000;

/** Exit status: 0 when all that was asked is done. Errors: AppError, for the entry to print. */
export const backfill: Command = async (args, io) => {
  const isAction = args[0] === undefined || !/^(?:con_|-)/.test(args[0]);
  return isAction ? runAction("backfill", actions, args, io, backfillUsage) : start(args, io);
};

const start: Command = async (args, io) => {
  const usage = usages.start;
  const flags = { rate: text, limit: text, all: flag, "dry-run": flag, wait: flag };
  const { values, positionals } = parseFlags(args, flags, usage);
  const [connection] = ids(positionals, 1, usage);
  const request = orUsage(usage, () =>
    parseOrRefuse(createBackfillRequestSchema, {
      connection,
      pictures: values.all ? "all" : undefined,
      rate: countOf("--rate", values.rate, usage),
      limit: countOf("--limit", values.limit, usage),
      dry_run: values["dry-run"] ? true : undefined,
    }),
  );
  const client = clientOf(values, io, usage);
  const made = await client.backfillCreate(request, { signal: io.signal });
  if (!values.wait) {
    tell(made, values.json, io);
    return 0;
  }
  io.stderr(`Backfill ${made.id}, ${made.rate} pictures a minute.`);
  return follow(client, made.id, values.json, io);
};

const actions: Readonly<Record<Exclude<keyof typeof usages, "start">, Command>> = {
  async list(args, io) {
    const usage = usages.list;
    const { values, positionals } = parseFlags(args, {}, usage);
    const [connection, ...more] = positionals;
    if (more.length > 0) throw usageError("Give one connection or none", usage);
    const asked = orUsage(usage, () => parseOrRefuse(listBackfillsQuerySchema, { connection }));
    const client = clientOf(values, io, usage);
    const read = (cursor?: string) =>
      client.backfillList({ ...asked, cursor }, { signal: io.signal });
    for await (const page of everyPage(read)) {
      for (const one of page.backfills) tell(one, values.json, io);
    }
    return 0;
  },

  async show(args, io) {
    const { values, positionals } = parseFlags(args, { wait: flag }, usages.show);
    const id = idOf(positionals, usages.show);
    const client = clientOf(values, io, usages.show);
    if (values.wait) return follow(client, id, values.json, io);
    tell(await client.backfillRead({ id }, { signal: io.signal }), values.json, io);
    return 0;
  },

  async resume(args, io) {
    const usage = usages.resume;
    const { values, positionals } = parseFlags(args, { rate: text, wait: flag }, usage);
    const [id] = ids(positionals, 1, usage);
    const rate = countOf("--rate", values.rate, usage);
    const request = orUsage(usage, () => parseOrRefuse(resumeBackfillSchema, { id, rate }));
    const client = clientOf(values, io, usage);
    const resumed = await client.backfillResume(request, { signal: io.signal });
    if (values.wait) return follow(client, resumed.id, values.json, io);
    tell(resumed, values.json, io);
    return 0;
  },

  pause: change("pause", (client, id, signal) => client.backfillPause({ id }, { signal })),
  cancel: change("cancel", (client, id, signal) => client.backfillCancel({ id }, { signal })),
};

function change(
  name: "pause" | "cancel",
  ask: (client: Client, id: string, signal: AbortSignal) => Promise<Backfill>,
): Command {
  return async (args, io) => {
    const { values, positionals } = parseFlags(args, {}, usages[name]);
    const id = idOf(positionals, usages[name]);
    tell(await ask(clientOf(values, io, usages[name]), id, io.signal), values.json, io);
    return 0;
  };
}

function idOf(positionals: readonly string[], usage: string): string {
  const [given] = ids(positionals, 1, usage);
  return orUsage(usage, () => parseOrRefuse(oneBackfillSchema, { id: given })).id;
}

/** Until it is over, or until nothing goes on without a person. */
async function follow(client: Client, id: string, json: boolean, io: CliIo): Promise<number> {
  let before = "";
  try {
    for (;;) {
      const one = await client.backfillRead({ id }, { signal: io.signal });
      const isHalted = one.state === "paused" && one.resumes_at === null;
      if (one.ended_at !== null || isHalted) {
        tell(one, json, io);
        if (isHalted) io.stderr(`To go on: blip2-edge backfill resume ${id} --wait`);
        return statusOf(one);
      }
      const progress = progressOf(one);
      if (progress !== before) io.stderr(progress);
      before = progress;
      await sleep(pollMs, io);
    }
  } catch (error) {
    if (io.signal.aborted) {
      io.stderr(
        `The backfill goes on. To follow it: blip2-edge backfill show ${id} --wait. To halt it: blip2-edge backfill pause ${id}`,
      );
    }
    throw error;
  }
}

const statusOf = ({ state, counts }: Backfill): number =>
  state === "done" && counts.failed + counts.dead === 0 ? 0 : 1;

const said = (count: number): string => count.toLocaleString("en-US");

function progressOf({ counts, left, left_s: leftS, detail, resumes_at: until }: Backfill): string {
  const { found, known, listed, skipped, failed, dead } = counts;
  const trouble = detail === null ? "" : `; ${detail}${until === null ? "" : ` Until ${until}.`}`;
  if (leftS === null) return plain(`${said(found)} pictures found, ${said(known)} known${trouble}`);
  const bad = failed + dead === 0 ? "" : `, ${said(failed + dead)} failed`;
  const idle = skipped === 0 ? "" : `, ${said(skipped)} with nothing to do`;
  const time = leftS < 90 ? `${leftS} s` : `${Math.round(leftS / 60)} min`;
  return plain(`${said(listed - left)} of ${said(listed)}${idle}${bad}, ${time} left${trouble}`);
}

function tell(one: Backfill, json: boolean, io: CliIo): void {
  if (json) return io.stdout(JSON.stringify(one));
  const { id, connection, state, rate, counts, left, dry_run: isDry, detail, created_at: at } = one;
  const { listed, known, written, suggested, skipped, failed, dead } = counts;
  const done = isDry
    ? [`${listed} to do, ${known} known`, "dry run"]
    : [
        `${listed - left} of ${listed}`,
        `${written} written, ${suggested} suggested, ${skipped} skipped, ${failed + dead} failed`,
        `${rate} a minute`,
      ];
  io.stdout(
    plain(
      [id, state.padEnd(9), ...done, at, connection, ...(detail === null ? [] : [detail])].join(
        "  ",
      ),
    ),
  );
}
