// What wrangler does for a deployment, each as a command of its own: migrations, the upload with everything around it, and
// the way back. It talks to the API that CLOUDFLARE_API_BASE_URL names, as cloudflare-api.ts does.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { DeployError } from "./deploy-error.ts";
import { explainOutput } from "./explain.ts";

export interface Wrangler {
  /** Applies what the database has not seen. `config` is a configuration file with the real ids. */
  migrate(config: string, database: string): Promise<void>;
  /** `secrets` is a JSON file of those that go with this version; the others stay as they are. */
  deploy(config: string, secrets?: string): Promise<void>;
  rollback(worker: string, version: string, message: string): Promise<void>;
}

export interface WranglerOptions {
  /** Of the repository. */
  readonly root: string;
  readonly account: string;
  readonly token: string;
  readonly base: string | undefined;
  /** For its own log, which names no secret. */
  readonly logFolder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

const timeoutMs = 600_000;
const shownLines = 40;

export function wranglerIn(options: WranglerOptions): Wrangler {
  const { root, account, token, base, logFolder, env, signal } = options;
  const entry = path.join(root, "node_modules/wrangler/bin/wrangler.js");
  const run = async (args: readonly string[]): Promise<void> => {
    await promisify(execFile)(process.execPath, [entry, ...args], {
      cwd: path.join(root, "edge"),
      timeout: timeoutMs,
      maxBuffer: 64_000_000,
      signal,
      env: {
        ...env,
        CLOUDFLARE_API_TOKEN: token,
        CLOUDFLARE_ACCOUNT_ID: account,
        ...(base === undefined ? {} : { CLOUDFLARE_API_BASE_URL: base }),
        // Asks nothing, and says nothing to anybody but the API.
        CI: "true",
        CLOUDFLARE_CF_FETCH_ENABLED: "false",
        WRANGLER_SEND_METRICS: "false",
        WRANGLER_SEND_ERROR_REPORTS: "false",
        WRANGLER_HIDE_BANNER: "true",
        WRANGLER_LOG_PATH: logFolder,
      },
    }).catch((error: Error & { stdout?: string; stderr?: string }) => {
      signal.throwIfAborted();
      const text = `${error.stdout ?? ""}\n${error.stderr ?? ""}`.trim();
      const tail = text.split("\n").slice(-shownLines).join("\n");
      const known = explainOutput(text);
      throw new DeployError(
        `${known?.message ?? `wrangler ${args.slice(0, 2).join(" ")} failed.`}\n${tail}\n`,
        known?.next ??
          "Mend what it says and run the same command again: it goes on where it was. Its log is in " +
            `${logFolder}.`,
        { cause: error },
      );
    });
  };
  return {
    migrate: (config, database) =>
      run(["d1", "migrations", "apply", database, "--remote", "--config", config]),
    deploy: (config, secrets) =>
      run([
        ...["deploy", "--config", config],
        ...(secrets === undefined ? [] : ["--secrets-file", secrets]),
      ]),
    rollback: (worker, version, message) =>
      run(["rollback", version, "--name", worker, "--message", message, "--yes"]),
  };
}
