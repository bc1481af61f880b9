// The Worker's bundle, made by wrangler as for a deployment and kept until a source changes, and the
// part of edge/wrangler.jsonc that a local run needs. Nothing here starts anything but the bundler.
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { glob, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";

const root = path.resolve(import.meta.dirname, "../..");
const cacheFolder = path.join(root, "node_modules/.cache/blip2-edge");
const buildPage = path.join(root, "infra/build-page.mjs");
const configFile = path.join(root, "edge/wrangler.jsonc");
const bundleTimeoutMs = 120_000;

const binding = z.object({ binding: z.string() });
const workerConfigSchema = z.object({
  name: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()),
  vars: z.record(z.string(), z.string()),
  d1_databases: z.array(binding),
  kv_namespaces: z.array(binding),
  r2_buckets: z.array(binding),
  durable_objects: z
    .object({ bindings: z.array(z.object({ name: z.string(), class_name: z.string() })) })
    .default({ bindings: [] }),
  queues: z
    .object({
      producers: z.array(z.object({ binding: z.string(), queue: z.string() })),
      consumers: z.array(
        z.object({ queue: z.string(), max_batch_size: z.int(), max_retries: z.int() }),
      ),
    })
    .default({ producers: [], consumers: [] }),
  triggers: z.object({ crons: z.array(z.string()) }).default({ crons: [] }),
});
export type WorkerConfig = z.infer<typeof workerConfigSchema>;

/** Of wrangler.jsonc: comments on lines of their own, commas before closing brackets. */
export const parseWranglerText = (text: string): unknown =>
  JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, "").replaceAll(/,(?=\s*[}\]])/g, ""));

export async function readWorkerConfig(): Promise<WorkerConfig> {
  return workerConfigSchema.parse(parseWranglerText(await readFile(configFile, "utf8")));
}

export interface WorkerBundle {
  readonly mainModule: string;
  readonly modulesRoot: string;
  readonly modules: Record<
    string,
    { readonly type: "esm" | "wasm" | "text"; readonly contents: string | Uint8Array<ArrayBuffer> }
  >;
}

/** Below edge/. */
const productEntry = "src/index.ts";

/** A name for everything that goes into the bundle. */
export async function sourceDigest(entry = productEntry): Promise<string> {
  const files = [
    path.join(root, "edge", entry),
    configFile,
    path.join(root, "package-lock.json"),
    buildPage,
  ];
  for await (const file of glob("{edge,shared,mcp-server}/{src/**,page/**,package.json}", {
    cwd: root,
  })) {
    if (/\.(ts|json|sql|html|css|webp)$/.test(file) && !file.endsWith(".test.ts")) {
      files.push(path.join(root, file));
    }
  }
  const hash = createHash("sha256");
  for (const file of files.toSorted()) {
    hash
      .update(`${path.relative(root, file)}\0`)
      .update(await readFile(file))
      .update("\0");
  }
  return hash.digest("hex").slice(0, 24);
}

async function runWrangler(entry: string, outDir: string): Promise<void> {
  const wrangler = path.join(root, "node_modules/wrangler/bin/wrangler.js");
  const args = [wrangler, "deploy", entry, "--dry-run", "--outdir", outDir, "--config", configFile];
  await promisify(execFile)(process.execPath, args, {
    cwd: path.join(root, "edge"),
    timeout: bundleTimeoutMs,
    env: {
      ...process.env,
      CI: "true",
      CLOUDFLARE_CF_FETCH_ENABLED: "false",
      WRANGLER_SEND_METRICS: "false",
      WRANGLER_SEND_ERROR_REPORTS: "false",
      WRANGLER_HIDE_BANNER: "true",
      WRANGLER_LOG_PATH: path.join(cacheFolder, "wrangler-logs"),
    },
  }).catch((error: Error & { stdout?: string; stderr?: string }) => {
    throw new Error(`wrangler could not bundle the Worker:\n${error.stdout}\n${error.stderr}`, {
      cause: error,
    });
  });
}

/** The modules of the bundle, freshly made or kept from the last time the sources were the same. */
export async function bundleWorker(entry = productEntry): Promise<WorkerBundle> {
  const kind = entry === productEntry ? "worker" : "lab";
  const folder = path.join(cacheFolder, `${kind}-${await sourceDigest(entry)}`);
  const known = await readdir(folder).catch(() => undefined);
  if (known === undefined) {
    await mkdir(cacheFolder, { recursive: true });
    for (const old of await readdir(cacheFolder)) {
      if (old.startsWith(`${kind}-`)) await rm(path.join(cacheFolder, old), { recursive: true });
    }
    const fresh = path.join(cacheFolder, `new-${process.pid}-${randomBytes(4).toString("hex")}`);
    await runWrangler(entry, fresh);
    // Another process may have been faster; then its bundle is as good.
    await rename(fresh, folder).catch(() => rm(fresh, { recursive: true, force: true }));
  }
  const modules: WorkerBundle["modules"] = {};
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    if (name.endsWith(".js")) {
      modules[name] = { type: "esm", contents: await readFile(file, "utf8") };
    } else if (name.endsWith(".wasm")) {
      modules[name] = { type: "wasm", contents: new Uint8Array(await readFile(file)) };
    }
  }
  const mainModule = `${path.basename(entry, ".ts")}.js`;
  return { mainModule, modulesRoot: folder, modules };
}
