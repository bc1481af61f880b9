// `npm start`: the local stack for a person. Everything it says goes to standard error except what was
// asked for: the caption, and with PICTURE arguments nothing but captions.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import net from "node:net";
import path from "node:path";
import { createClient, type Client } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import { pictureOf } from "../../mcp-server/src/cli/picture.ts";
import { parseStartOptions, usage, UsageError, type StartOptions } from "./options.ts";
import { startStack, type Stack } from "./stack.ts";
import { runningStack, StateError } from "./state.ts";

const root = path.resolve(import.meta.dirname, "../..");
const samplesDir = "gpu-node/nano/samples";
const samplesSchema = z.object({
  samples: z.tuple([z.object({ file: z.string() })]).rest(z.unknown()),
});
const say = (line: string) => process.stderr.write(`${line}\n`);

/** Fails early, with words a person can use, when the port cannot be had. */
async function checkPort(port: number): Promise<void> {
  if (port === 0) return;
  const server = net.createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") {
      throw new StateError(
        `Port ${port} is in use by another program. Stop it, or choose another port: npm start -- --port ${port + 1}`,
      );
    }
    if (code === "EACCES") {
      throw new StateError(`Port ${port} may not be used by this user; choose one above 1023.`);
    }
    throw error;
  } finally {
    server.close();
  }
}

async function caption(client: Client, file: string, signal: AbortSignal): Promise<string> {
  const answer = await client.caption({ image: await pictureOf(file) }, { signal });
  return answer.text;
}

/** Captions the files, one line each; false when one of them failed. */
async function captionAll(
  client: Client,
  files: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  let ok = true;
  for (const file of files) {
    try {
      const text = await caption(client, file, signal);
      process.stdout.write(files.length === 1 ? `${text}\n` : `${path.basename(file)}: ${text}\n`);
    } catch (error) {
      ok = false;
      if (!(error instanceof AppError)) throw error;
      say(`${path.basename(file)}: ${error.detail}`);
    }
  }
  return ok;
}

/** The first of the pictures that ship, relative to the repository. */
async function samplePicture(): Promise<string> {
  const list = await readFile(path.join(root, samplesDir, "samples.json"), "utf8");
  const { samples } = samplesSchema.parse(JSON.parse(list));
  return `${samplesDir}/${samples[0].file}`;
}

async function writeReadyFile(file: string, stack: Stack): Promise<void> {
  const ready = {
    url: stack.url,
    api_key: stack.apiKey,
    node_url: stack.node.url,
    pids: stack.pids().map(({ pid }) => pid),
  };
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.tmp`, `${JSON.stringify(ready)}\n`, { mode: 0o600 });
  await rename(`${file}.tmp`, file);
}

async function run(options: StartOptions, signal: AbortSignal): Promise<number> {
  const once = options.pictures.length > 0;
  const port = once ? 0 : options.port;
  const apiKey = process.env["BLIP2_API_KEY"];
  const running = once ? await runningStack(options.stateDir) : undefined;
  if (running !== undefined) {
    const client = createClient({ url: running.url, key: apiKey ?? running.apiKey });
    return (await captionAll(client, options.pictures, signal)) ? 0 : 1;
  }
  await checkPort(port);
  const stack = await startStack({
    stateDir: options.stateDir,
    port,
    allowFetch: options.allowFetch,
    ...(apiKey === undefined || apiKey === "" ? {} : { apiKey }),
    say,
    log: process.env["BLIP2_LOG"] === "1" ? say : () => {},
    signal,
  });
  try {
    if (once) return (await captionAll(stack.client, options.pictures, signal)) ? 0 : 1;
    const picture = path.relative(process.cwd(), path.join(root, await samplePicture()));
    const text = await caption(stack.client, picture, signal);
    say(`The Worker answers at ${stack.url}, a node behind it at ${stack.node.url}.`);
    say(`It was asked what is in ${picture}, and said:\n`);
    process.stdout.write(`${text}\n`);
    say("\nAsk it yourself:\n");
    process.stdout.write(
      `curl ${stack.url}/v1/caption -H 'Authorization: Bearer ${stack.apiKey}' -F image=@${picture}\n`,
    );
    say(`\nOr in a browser: ${stack.url}/#key=${stack.apiKey}`);
    say(
      `\nThe key is for development and is kept in ${path.relative(process.cwd(), options.stateDir) || "."}/dev.json. Ctrl-C stops everything.`,
    );
    if (options.readyFile !== undefined) await writeReadyFile(options.readyFile, stack);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    say("Stopping ...");
    return 0;
  } finally {
    await stack.stop();
  }
}

async function main(): Promise<number> {
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => stopping.abort(new Error(name)));
  }
  try {
    const options = parseStartOptions(process.argv.slice(2), { cwd: process.cwd(), root });
    if (options === "help") {
      process.stdout.write(`${usage}\n`);
      return 0;
    }
    return await run(options, stopping.signal);
  } catch (error) {
    if (stopping.signal.aborted) return 130;
    if (error instanceof UsageError) {
      say(`${error.message}\n\n${usage}`);
      return 2;
    }
    if (error instanceof StateError) say(error.message);
    else if (error instanceof AppError) say(`${error.kind.title}: ${error.detail}`);
    else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    return 1;
  }
}

process.exitCode = await main();
