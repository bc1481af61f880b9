// `npm run deploy`: the Worker into a Cloudflare account (docs/deploy.md). Everything it says goes to standard error; the
// exit status is 0 when all is done, 1 when something failed or is left, 2 for wrong usage.
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { sourceDigest } from "../start/worker-bundle.ts";
import { AppError } from "@blip2-edge/shared/problem";
import { DeployError, DeployUsageError } from "./deploy-error.ts";
import { deploy } from "./deploy.ts";
import { parseDeployOptions, usage } from "./options.ts";

const root = path.resolve(import.meta.dirname, "../..");
const say = (line: string) => void process.stderr.write(`${line}\n`);

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}

async function main(): Promise<number> {
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Ctrl-C may come twice; the second changes nothing.
    process.on(name, () => stopping.abort(new Error(name)));
  }
  try {
    const options = parseDeployOptions(process.argv.slice(2));
    if (options === "help") {
      say(usage);
      return 0;
    }
    return await deploy(options, {
      env: process.env,
      fetch: (input, init) => fetch(input, init),
      sleep: (ms) => sleep(ms, undefined, { signal: stopping.signal }),
      signal: stopping.signal,
      say,
      confirm: process.stdin.isTTY ? confirm : undefined,
      shown: process.stderr.isTTY,
      root,
      environments: path.join(root, "edge/environments"),
      state: path.join(root, ".deploy"),
      configFile: (environment) => path.join(root, `edge/wrangler.${environment}.json`),
      sources: () => sourceDigest(),
    });
  } catch (error) {
    if (stopping.signal.aborted) {
      say("\nBroken off. Run the same command again: it goes on where it was.");
    } else if (error instanceof DeployUsageError) {
      say(`${error.message}\n\n${usage}`);
      return 2;
    } else if (error instanceof DeployError) {
      say(`\n${error.message}\n${error.next}`);
    } else if (error instanceof AppError) {
      say(`\nThe Worker refused: ${error.detail} (${error.code})`);
      say("Run the same command again once that is mended: it goes on where it was.");
    } else {
      throw error;
    }
    return 1;
  }
}

process.exitCode = await main();
