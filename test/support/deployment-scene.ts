// A deployment in a test: the stand-in for Cloudflare's API, a Worker that answers while it is deployed there, what wrangler
// does, and a home of its own for what a deployment keeps.
import { mkdtempSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { deploy } from "../../infra/deploy/deploy.ts";
import { parseDeployOptions, type DeployOptions } from "../../infra/deploy/options.ts";
import type { DeployIo } from "../../infra/deploy/scene.ts";
import {
  cloudflareStandIn,
  standInAccount,
  standInToken,
  type CloudflareStandIn,
  type StandInOptions,
} from "./cloudflare-stand-in.ts";
import { deployedWorker } from "./deployed-worker.ts";
import { fakeWrangler } from "./fake-wrangler.ts";

const root = path.resolve(import.meta.dirname, "../..");

interface Held {
  readonly PARTITION_SECRET: string;
  readonly OPERATOR_KEYS: string;
  readonly NODE_KEYS: Readonly<Record<string, string>>;
  readonly admin?: { readonly key?: string };
}

/** Scenes of one test file; `remove` after all of them. */
export function deploymentScenes() {
  const folder = mkdtempSync(path.join(os.tmpdir(), "blip2-deploy-"));
  let scenes = 0;
  function scene(options: StandInOptions = { subdomain: "acme" }, kept?: CloudflareStandIn) {
    const standIn = kept ?? cloudflareStandIn(options);
    const worker = deployedWorker(standIn);
    const home = path.join(folder, String(scenes++));
    const said: string[] = [];
    let sources = "sources-1";
    const io: DeployIo = {
      env: { CLOUDFLARE_ACCOUNT_ID: standInAccount, CLOUDFLARE_API_TOKEN: standInToken },
      fetch: (input, init) => {
        const { hostname } = new URL(input instanceof Request ? input.url : input);
        return hostname === "api.cloudflare.com"
          ? standIn.fetch(input, init)
          : worker.fetch(input, init);
      },
      sleep: () => Promise.resolve(),
      signal: new AbortController().signal,
      say: (line) => void said.push(line),
      confirm: undefined,
      shown: false,
      root,
      environments: path.join(home, "environments"),
      state: path.join(home, "state"),
      configFile: (environment) => path.join(home, `wrangler.${environment}.json`),
      sources: () => Promise.resolve(sources),
      wrangler: fakeWrangler(standIn),
    };
    const run = (...args: string[]) => {
      said.length = 0;
      const parsed = parseDeployOptions(["--yes", ...args]) as DeployOptions;
      return deploy(parsed, io);
    };
    const secretsOf = async (environment = "production") =>
      JSON.parse(
        await readFile(path.join(home, "state", environment, "secrets.json"), "utf8"),
      ) as Held;
    return {
      ...{ standIn, worker, run, said, io, home, secretsOf },
      change: (digest: string) => (sources = digest),
    };
  }

  return { scene, remove: () => rm(folder, { recursive: true, force: true }) };
}

export const node = ["--node", "gpu-1=https://gpu-1.example.com"] as const;
/** Requests that change something; reads of D1 are left out. */
export const changing = (asked: readonly string[]) =>
  asked.filter((line) => !line.startsWith("GET") && !line.endsWith("/query"));
