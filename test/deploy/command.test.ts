// The command of a deployment as a process: what it ends with, and that Ctrl-C breaks it off in words.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { cloudflareStandIn, standInAccount, standInToken } from "../support/cloudflare-stand-in.ts";

const root = path.resolve(import.meta.dirname, "../..");
const main = path.join(root, "infra/deploy/main.ts");
const none = { CLOUDFLARE_API_TOKEN: "", CLOUDFLARE_ACCOUNT_ID: "" };

async function ends(...args: string[]): Promise<{ status: number; said: string }> {
  try {
    const options = { env: { ...process.env, ...none } };
    const { stderr } = await promisify(execFile)(process.execPath, [main, ...args], options);
    return { status: 0, said: stderr };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { status: code, said: stderr };
  }
}

test("a dry run ends with 0, a missing token with 1, wrong usage with 2", async () => {
  const dry = await ends("--dry-run", "--env", "staging");
  expect(dry.status).toBe(0);
  expect(dry.said).toContain("make the R2 bucket blip2-edge-pixels-staging");
  const token = await ends("status");
  expect(token.status).toBe(1);
  expect(token.said).toContain("CLOUDFLARE_API_TOKEN is not set.");
  const usage = await ends("--environment", "staging");
  expect(usage.status).toBe(2);
  expect(usage.said).toContain("Usage: npm run deploy");
});

test("broken off while wrangler works, it says how to go on, and has deployed nothing", async () => {
  const standIn = cloudflareStandIn({ subdomain: "acme" });
  const { base, stop } = await standIn.serve();
  const environment = `test-${process.pid}`;
  onTestFinished(async () => {
    await stop();
    await rm(path.join(root, ".deploy", environment), { recursive: true, force: true });
    await rm(path.join(root, `edge/environments/${environment}.json`), { force: true });
    await rm(path.join(root, `edge/wrangler.${environment}.json`), { force: true });
  });
  // The first query of wrangler's migrations waits until the command was told to end.
  const asked = Promise.withResolvers<void>();
  standIn.before = ({ path: at }) => {
    if (at.endsWith("/query") && standIn.storage.queues.size > 0) asked.resolve();
    return undefined;
  };
  const child = spawn(process.execPath, [main, "--yes", "--env", environment], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      ...process.env,
      CLOUDFLARE_ACCOUNT_ID: standInAccount,
      CLOUDFLARE_API_TOKEN: standInToken,
      CLOUDFLARE_API_BASE_URL: base,
    },
  });
  let said = "";
  child.stderr.on("data", (data: Buffer) => (said += data.toString()));
  await asked.promise;
  child.kill("SIGINT");
  child.kill("SIGINT");
  const [status] = (await once(child, "close")) as [number | null];
  expect(said).toContain("Broken off. Run the same command again");
  expect(status).toBe(1);
  expect(standIn.workers.scripts.size).toBe(0);
}, 120_000);
