// Where the local Worker may connect to: blocks of addresses for workerd's filter, and the way out to public ones.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "../..");

async function addressesOf(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw new Error(`The host ${name} does not resolve to an address; check its spelling.`, {
      cause: error,
    });
  }
}

/** The network blocks of a host, for workerd's address filter. */
export async function blocksOf(hosts: readonly string[]): Promise<string[]> {
  const blocks = new Set<string>();
  for (const host of hosts) {
    const bare = host.replace(/^\[|\]$/g, "");
    for (const address of isIP(bare) > 0 ? [bare] : await addressesOf(bare)) {
      blocks.add(isIP(address) === 6 ? `${address}/128` : `${address}/32`);
    }
  }
  return [...blocks];
}

/** The way out for `fetch`: public addresses only, by the address a name resolves to when it connects. */
export const internetWorker = {
  config: {
    name: "internet",
    compatibilityDate: "2026-11-01",
    manifest: {
      mainModule: "index.js",
      modulesRoot: root,
      modules: {
        "index.js": {
          type: "esm" as const,
          contents: "export default { fetch: (request, env) => env.NET.fetch(request) };",
        },
      },
    },
    env: {
      NET: {
        type: "network" as const,
        allow: ["public"],
        tlsOptions: { trustBrowserCas: true },
      },
    },
  },
};

/** Where nodes may be, as the Worker's variables say it. */
export const nodeHosts = ({
  NODE_URL = "",
  ANNOUNCE_ORIGINS = "",
}: Record<string, string>): string[] =>
  [...NODE_URL.split(","), ...ANNOUNCE_ORIGINS.split(",").map((entry) => entry.split("=")[1] ?? "")]
    .filter((url) => url !== "")
    .map((url) => new URL(url.replace(/:\*$/, "")).hostname);
