// What the environment says about the hub, by the names that Python's huggingface_hub gave the
// settings. Reads a record of variables that the entry hands in, and the token's file; no network.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";

export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** The folder that holds models--org--name folders. */
  readonly cacheFolder: string;
  /** Sent to the endpoint's host alone. Never printed. */
  readonly token: string | undefined;
  readonly offline: boolean;
  /** Until the headers of a HEAD have arrived. */
  readonly headTimeoutMs: number;
  /** Without a byte of a download. */
  readonly stallTimeoutMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const defaultTimeoutS = 10;

const isTrue = (value: string | undefined): boolean =>
  ["1", "ON", "YES", "TRUE"].includes((value ?? "").toUpperCase());

/** The first of these variables that is set and not empty. */
const first = (env: Environment, ...names: readonly string[]): string | undefined =>
  names.map((name) => env[name]?.trim()).find((value) => value !== undefined && value !== "");

function readEndpoint(env: Environment): string {
  const given = first(env, "HF_ENDPOINT") ?? "https://huggingface.co";
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    throw new AppError("usage", `HF_ENDPOINT must be an http or https URL; it is "${given}".`);
  }
  return given.replace(/\/+$/, "");
}

function readTimeoutMs(env: Environment, name: string): number {
  const given = first(env, name);
  if (given === undefined) return defaultTimeoutS * 1000;
  const seconds = Number(given);
  if (!(seconds > 0 && seconds <= 3600)) {
    throw new AppError("usage", `${name} must be seconds from above 0 to 3600; it is "${given}".`);
  }
  return seconds * 1000;
}

async function readToken(env: Environment, path: string): Promise<string | undefined> {
  if (isTrue(env["HF_HUB_DISABLE_IMPLICIT_TOKEN"])) return undefined;
  const given =
    first(env, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") ??
    (await readFile(path, "utf8").then(
      (text) => text.trim(),
      () => "",
    ));
  if (given === "") return undefined;
  // What goes into a header must not be able to begin another one.
  if (!/^[\x21-\x7e]+$/.test(given)) {
    throw new AppError(
      "usage",
      "The hub's token holds characters that no token has. Set HF_TOKEN.",
    );
  }
  return given;
}

/** Errors: `usage` naming the variable that will not do. */
export async function readHubSettings(env: Environment, homeFolder: string): Promise<HubSettings> {
  const expand = (path: string): string => path.replace(/^~(?=\/|$)/, homeFolder);
  const hfHome = expand(
    first(env, "HF_HOME") ??
      join(first(env, "XDG_CACHE_HOME") ?? join(homeFolder, ".cache"), "huggingface"),
  );
  return {
    endpoint: readEndpoint(env),
    cacheFolder: expand(first(env, "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") ?? join(hfHome, "hub")),
    token: await readToken(env, expand(first(env, "HF_TOKEN_PATH") ?? join(hfHome, "token"))),
    offline: isTrue(first(env, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
    headTimeoutMs: readTimeoutMs(env, "HF_HUB_ETAG_TIMEOUT"),
    stallTimeoutMs: readTimeoutMs(env, "HF_HUB_DOWNLOAD_TIMEOUT"),
  };
}
