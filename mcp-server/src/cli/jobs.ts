// `blip2-edge jobs create | list | get | results | cancel | delete`: batches of many pictures on a Worker.
import { readFile } from "node:fs/promises";
import type { Client } from "@blip2-edge/shared/client";
import {
  createJobRequestSchema,
  jobIdSchema,
  type CreateJobRequest,
  type Job,
} from "@blip2-edge/shared/contracts/jobs";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { everyPage } from "./every-page.ts";
import {
  clientOf,
  commonHelp,
  countOf,
  orUsage,
  parseFlags,
  runAction,
  usageError,
  type Command,
} from "./flags.ts";
import { sleep, type CliIo } from "./io.ts";
import { pictureOf } from "./picture.ts";

const usages = {
  create: "blip2-edge jobs create [--task TASK] [options] (PICTURE... | --items FILE)",
  list: "blip2-edge jobs list",
  get: "blip2-edge jobs get ID [--wait]",
  results: "blip2-edge jobs results ID [--wait]",
  cancel: "blip2-edge jobs cancel ID",
  delete: "blip2-edge jobs delete ID",
};

const jobsUsage = "blip2-edge jobs create | list | get | results | cancel | delete";
export const jobsHelp = `${Object.values(usages).join("\n")}

PICTURE is a file, an http or https URL, or an image_id (img_…).

  --task TASK           caption (default with pictures), vqa, match, classify, embed, or index with --items
  --parameters JSON     what the task takes, e.g. '{"labels":["owl","cat"]}'
  --items FILE          one item a line as JSON: {"id","image","task","parameters"}; - reads standard input
  --name NAME           to find the job again
  --expires-in SECONDS  after so long what is not done is given up; default a day
  --webhook URL         told once the job is over; BLIP2_WEBHOOK_SECRET (whsec_…) signs the message
  --wait                until the job is over, with progress on standard error; results come as they are
                        recorded. Exit status 0 only when every item succeeded
${commonHelp}`;

/** Exit status: 0 when all that was asked is done. Errors: AppError, for the entry to print. */
export const jobs: Command = async (args, io) => runAction("jobs", actions, args, io, jobsUsage);

const wait = { wait: { type: "boolean", default: false } } as const;

const actions: Readonly<Record<keyof typeof usages, Command>> = {
  async create(args, io) {
    const text = { type: "string" } as const;
    const usage = usages.create;
    const { values, positionals } = parseFlags(
      args,
      {
        ...{ task: text, parameters: text, items: text, name: text, webhook: text },
        ...{ "expires-in": text, ...wait },
      },
      usage,
    );
    const fromFile = values.items !== undefined;
    if (fromFile === positionals.length > 0) {
      throw usageError("Give pictures or --items FILE, one of them", usage);
    }
    const items = fromFile
      ? itemsOf(await textOf(values.items ?? "", io), usage)
      : await Promise.all(positionals.map(itemOf));
    const request = orUsage(usage, () =>
      parseOrRefuse(createJobRequestSchema, {
        name: values.name,
        task: values.task ?? (fromFile ? undefined : "caption"),
        parameters: values.parameters === undefined ? undefined : jsonOf(values.parameters, usage),
        items,
        expires_in_s: countOf("--expires-in", values["expires-in"], usage),
        webhook: webhookOf(values.webhook, io, usage),
      }),
    );
    const client = clientOf(values, io, usage);
    const job = await client.jobCreate(request, { signal: io.signal });
    if (!values.wait) {
      tell(job, values.json, io);
      return 0;
    }
    io.stderr(`Job ${job.id} of ${job.counts.total} items.`);
    return follow(client, job.id, values.json, io);
  },

  async list(args, io) {
    const { values, positionals } = parseFlags(args, {}, usages.list);
    if (positionals.length > 0) throw usageError("It takes no arguments", usages.list);
    const client = clientOf(values, io, usages.list);
    const read = (cursor?: string) => client.jobList({ cursor }, { signal: io.signal });
    for await (const page of everyPage(read)) {
      for (const job of page.jobs) tell(job, values.json, io);
    }
    return 0;
  },

  async get(args, io) {
    const { values, positionals } = parseFlags(args, wait, usages.get);
    const id = oneId(positionals, usages.get);
    const client = clientOf(values, io, usages.get);
    let job = await client.jobRead({ id }, { signal: io.signal });
    while (values.wait && job.finished_at === null) {
      progress(job, io);
      await sleep(pollMs, io);
      job = await client.jobRead({ id }, { signal: io.signal });
    }
    tell(job, values.json, io);
    return values.wait ? statusOf(job) : 0;
  },

  async results(args, io) {
    const { values, positionals } = parseFlags(args, wait, usages.results);
    const id = oneId(positionals, usages.results);
    const client = clientOf(values, io, usages.results);
    if (values.wait) return follow(client, id, values.json, io);
    await writeFrom(client, id, undefined, values.json, io);
    return 0;
  },

  async cancel(args, io) {
    const { values, positionals } = parseFlags(args, {}, usages.cancel);
    const id = oneId(positionals, usages.cancel);
    const client = clientOf(values, io, usages.cancel);
    tell(await client.jobCancel({ id }, { signal: io.signal }), values.json, io);
    return 0;
  },

  async delete(args, io) {
    const { values, positionals } = parseFlags(args, {}, usages.delete);
    const id = oneId(positionals, usages.delete);
    const client = clientOf(values, io, usages.delete);
    const deleted = await client.jobDelete({ id }, { signal: io.signal });
    io.stdout(values.json ? JSON.stringify(deleted) : `${id} is deleted`);
    return 0;
  },
};

const pollMs = 1000;

/** Writes results as they are recorded until the job is over. */
async function follow(client: Client, id: string, json: boolean, io: CliIo): Promise<number> {
  let cursor: string | undefined;
  for (;;) {
    cursor = await writeFrom(client, id, cursor, json, io);
    const job = await client.jobRead({ id }, { signal: io.signal });
    if (cursor === undefined) return statusOf(job);
    progress(job, io);
    if (job.finished_at === null) await sleep(pollMs, io);
  }
}

/** Every result from a cursor on; resolves to where those come that are not recorded yet. */
async function writeFrom(
  client: Client,
  id: string,
  from: string | undefined,
  json: boolean,
  io: CliIo,
): Promise<string | undefined> {
  let cursor = from;
  for (;;) {
    const page = await client.jobResults({ id, cursor }, { signal: io.signal });
    for (const result of page.results) {
      const { index, id: own, status, result: found, problem } = result;
      const said = status === "succeeded" ? JSON.stringify(found) : (problem?.detail ?? status);
      io.stdout(json ? JSON.stringify(result) : `${own ?? index}  ${status}  ${said}`);
    }
    ({ cursor } = page);
    if (cursor === undefined || page.results.length === 0) return cursor;
  }
}

const statusOf = ({ state, counts }: Job): number =>
  state === "completed" && counts.succeeded === counts.total ? 0 : 1;

function progress({ counts, paused }: Job, io: CliIo): void {
  const { total, succeeded, failed, running } = counts;
  const held = paused === undefined ? "" : `; paused until ${paused.until} (${paused.code})`;
  io.stderr(`${succeeded + failed} of ${total}, ${failed} failed, ${running} running${held}`);
}

function tell(job: Job, json: boolean, io: CliIo): void {
  if (json) return io.stdout(JSON.stringify(job));
  const { id, state, counts, created_at: at, name, problem } = job;
  const { total, succeeded, failed } = counts;
  const why = problem === undefined ? [] : [problem.detail ?? problem.title];
  const named = name === undefined ? [] : [name];
  const done = `${succeeded + failed} of ${total}, ${failed} failed`;
  io.stdout([id, state.padEnd(9), done, at, ...named, ...why].join("  "));
}

function oneId(positionals: readonly string[], usage: string): string {
  const [id, ...more] = positionals;
  if (id === undefined || more.length > 0) throw usageError("Give the id of one job", usage);
  if (!jobIdSchema.safeParse(id).success) throw usageError(`"${id}" is not the id of a job`, usage);
  return id;
}

async function itemOf(picture: string): Promise<CreateJobRequest["items"][number]> {
  const image = await pictureOf(picture);
  if (!("bytes" in image)) return { id: picture, image };
  return { id: picture, image: { base64: Buffer.from(image.bytes).toString("base64") } };
}

async function textOf(file: string, { stdin }: CliIo): Promise<string> {
  if (file === "-" && stdin !== undefined) return stdin();
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new AppError("usage", `${file} cannot be read: ${error.code ?? error.message}`);
  });
}

const itemsOf = (lines: string, usage: string): unknown[] =>
  lines.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    return [jsonOf(line, usage, `line ${index + 1}`)];
  });

function jsonOf(text: string, usage: string, what = "--parameters"): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw usageError(`${what} is not JSON`, usage);
  }
}

function webhookOf(url: string | undefined, { env }: CliIo, usage: string): unknown {
  if (url === undefined) return undefined;
  const secret = env["BLIP2_WEBHOOK_SECRET"];
  if (secret !== undefined) return { url, secret };
  throw usageError("Set BLIP2_WEBHOOK_SECRET: it signs what the webhook is told", usage);
}
