// `blip2-edge import FOLDER`: files become records of a namespace, under ids made of their paths. What is done stands
// in the namespace and nowhere else (docs/decisions/0156): ended at any point and begun again it goes on.
import path from "node:path";
import { setTimeout as sleepUnless } from "node:timers/promises";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import pMap from "p-map";
import { everyPage } from "./every-page.ts";
import { clientOf, commonHelp, countOf, parseFlags, usageError } from "./flags.ts";
import { createTally } from "./import-tally.ts";
import type { CliIo } from "./io.ts";
import { createPace, reachOf } from "./pace.ts";
import { pictureOf } from "./picture.ts";
import { picturesUnder } from "./pictures-under.ts";
import { idOfPath } from "./record-id.ts";

const importUsage = "blip2-edge import FOLDER [--namespace NAME] [--tag TAG]... [...]";
export const importHelp = `${importUsage}

Every picture under FOLDER is indexed: files by the usual endings, none whose name begins with a dot. Its id is its path
in FOLDER, in which : stands for a slash and =XX for what an id may not hold. What is in the namespace already is passed
over, so it may be ended and begun again at any time.

  --namespace    default: default
  --tag TAG      of every picture; repeatable
  --no-caption   vectors only
  --parallel N   at a time; default 4, fewer while the Worker asks for it
  --patience S   seconds without a success, or of a wait that is asked for, after which it gives up; default 300
  --again        those too that are there already
${commonHelp}
Exit status 0 only when every picture is a record. With --json a record a line, and {"image","problem"} for what failed.`;

const maxParallel = 16;

/** Exit status: 0 when every picture is a record. Errors: AppError, for the entry to print. */
export async function importFolder(args: readonly string[], io: CliIo): Promise<number> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const { values, positionals } = parseFlags(
    args,
    {
      ...{ namespace: text, parallel: text, patience: text, again: flag, "no-caption": flag },
      tag: { type: "string", multiple: true },
    },
    importUsage,
  );
  const [folder, ...more] = positionals;
  if (folder === undefined || more.length > 0) throw usageError("Give one folder", importUsage);
  const parallel = countOf("--parallel", values.parallel, importUsage) ?? 4;
  if (parallel < 1 || parallel > maxParallel) {
    throw usageError(`--parallel is from 1 to ${maxParallel}`, importUsage);
  }
  const patienceS = countOf("--patience", values.patience, importUsage) ?? 300;
  const { namespace = "default", tag: tags, json } = values;
  // How often and when a call is made again is for the pace to say: it knows of the others.
  const client = clientOf(values, io, importUsage, { maxRetries: 0 });
  const { pictures, others } = await picturesUnder(folder, importUsage);

  const ended = new AbortController();
  const signal = AbortSignal.any([io.signal, ended.signal]);
  const pace = createPace({
    parallel,
    patienceMs: patienceS * 1000,
    now: io.now ?? Date.now,
    sleep: io.sleep ?? ((ms) => sleepUnless(ms, undefined, { signal })),
    waits: (waitMs, { detail, kind }, atATime) =>
      io.stderr(
        `${detail || kind.title} Waiting ${Math.ceil(waitMs / 1000)} s, then ${atATime} at a time.`,
      ),
  });
  const list = (cursor: string | undefined) =>
    pace.run(() => client.imageList({ namespace, limit: 200, cursor }, { signal }));
  const known = new Set<string>();
  if (values.again !== true) {
    for await (const page of everyPage(list)) for (const { id } of page.images) known.add(id);
  }
  const waiting = pictures.filter((file) => !known.has(idOfPath(file)));
  const tally = createTally(waiting.length, io);
  tally.begin(pictures.length - waiting.length, others);

  const one = async (file: string): Promise<void> => {
    try {
      const image = await pictureOf(path.join(folder, file));
      const put = {
        ...{ namespace, id: idOfPath(file), image, source: file, tags },
        ...(values["no-caption"] === true ? { caption: false } : {}),
      };
      const record = await pace.run(() => client.imagePut(put, { signal }));
      tally.indexed(record);
      if (json) io.stdout(JSON.stringify(record));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AppError) || isForAll(error)) throw error;
      tally.failed(file, error);
      if (json) io.stdout(JSON.stringify({ image: file, problem: toProblem(error) }));
    }
  };
  try {
    await pMap(waiting, one, { concurrency: parallel, signal });
  } finally {
    // Of those that still run or wait nothing is wanted any more.
    ended.abort();
    tally.end();
  }
  return tally.isComplete() ? 0 : 1;
}

const isForAll = (error: AppError): boolean => ["all", "all_for_now"].includes(reachOf(error));
