// `blip2 join --edge URL --token TOKEN --model DIR`: a node that gets its key from the Worker instead of from a person.
// Started again, with the token or without, it goes on under the key that it has. It ends when it is told to, when an
// operator sends it away, and when the tunnel that it opened breaks.
import { randomBytes } from "node:crypto";
import { homedir } from "node:os";
import path from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { parseNodeConfig } from "../config.ts";
import { joinEdge } from "../http/join-edge.ts";
import { renewedKeys } from "../http/renewed-keys.ts";
import { openTunnel, type Tunnel } from "../http/tunnel.ts";
import { createLog, type Log } from "../observe/log.ts";
import { readNodeState, readStateKeys, writeNodeState, type JoinedState } from "./node-state.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { collectorOf, runNode, type ServeIo } from "./run-node.ts";
import { settingFlags, settingHelp } from "./serve.ts";

export const joinUsage =
  "blip2 join --edge URL [--token TOKEN] --model DIR [--model DIR]... [--url URL | --tunnel [--tunnel-token-file FILE]] [--state DIR] [settings of blip2 serve]";

const announced = ["announce", "announce-as", "keys"];
export const joinHelp =
  (): string => `Runs a node that has its key from the Worker. An operator makes the token: blip2-edge nodes token.

  --edge URL           base address of the Worker
  --token TOKEN        good once, and not for long; or from BLIP2_JOIN_TOKEN, which other users of the machine do not
                       see; not needed again once it has joined
  --url URL            address under which the Worker reaches this node; left out: the one that the token names
  --tunnel             start cloudflared, with a quick tunnel, which is for trying out
  --tunnel-token-file FILE
                       with --tunnel: the token of a tunnel of yours, whose host name, --url, leads to --port here
  --state DIR          where it keeps its key; left out: ${path.join("~", stateFolder)}
${settingHelp(announced)}`;

const { announce: _, "announce-as": __, ...flagsOfSettings } = settingFlags;
const stateFolder = ".local/state/blip2-node";
/** As much of a token as tells it from others, and nothing that it could be made of. */
const tokenIdCharacters = "b2e_join_".length + 16;

/** Resolves with 0 once the node has ended in order. Errors: AppError, for the entry to print. */
export async function join(args: readonly string[], io: ServeIo): Promise<number> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseFlags(
    args,
    {
      ...flagsOfSettings,
      ...{ edge: text, token: text, url: text, state: text, "tunnel-token-file": text },
      tunnel: { type: "boolean", default: false },
    },
    joinUsage,
  );
  if (positionals.length > 0) throw usageError(`"${positionals[0]}" is no flag`, joinUsage);
  const { edge: edgeText, token: _token, url, state, tunnel: opens, ...rest } = values;
  const { "tunnel-token-file": tokenFile, ...flags } = rest;
  const edge = edgeOf(edgeText);
  if (opens && tokenFile === undefined && url !== undefined) {
    throw usageError(
      "--url and --tunnel exclude one another: a quick tunnel has the name that Cloudflare gives it",
      joinUsage,
    );
  }
  if (tokenFile !== undefined && (!opens || url === undefined)) {
    throw usageError("--tunnel-token-file goes with --tunnel and --url", joinUsage);
  }
  const log = createLog(io.stderr);
  const folder = state ?? path.join(homedir(), stateFolder);
  const token = values.token ?? io.env?.["BLIP2_JOIN_TOKEN"];
  // Faults of the settings before a token is spent for them.
  const settings = (keys: string) =>
    parseNodeConfig({
      ...collectorOf(io),
      ...flags,
      announce: edge,
      ...(url === undefined ? {} : { "announce-as": url }),
      keys,
    });
  settings(`checked:${"0".repeat(32)}`);
  const joined = await joinedAs({ edge, token, folder, log, signal: io.signal });
  const { origin } = joined;
  const ending = new AbortController();
  const renewed = renewedKeys({
    keys: joined.keys,
    save: (keys) => writeNodeState(folder, "joined", { ...joined, keys: [...keys] }),
    onSentAway: () => ending.abort(),
    log,
  });
  const opened: { tunnel?: Tunnel; broken?: AppError } = {};
  const endWith = async (tunnel: Tunnel): Promise<void> => {
    opened.broken = await tunnel.broken;
    ending.abort(opened.broken);
  };
  const reach = async (target: string): Promise<string | undefined> => {
    // Without a star it is an address.
    if (!opens) return origin.includes("*") ? undefined : origin;
    const tunnel = await openTunnel({ target, tokenFile, log, signal: io.signal });
    opened.tunnel = tunnel;
    void endWith(tunnel);
    return tunnel.url;
  };
  try {
    await runNode(
      {
        config: settings(await readStateKeys(folder)),
        keys: renewed.keys,
        announcing: { reach, onTold: renewed.told },
        signal: AbortSignal.any([io.signal, ending.signal]),
        log,
      },
      io,
    );
  } finally {
    await opened.tunnel?.stop();
  }
  if (opened.broken !== undefined) throw opened.broken;
  return 0;
}

/** A token travels there, so in clear only on this machine. Errors: `usage`. */
function edgeOf(text: string | undefined): string {
  const url = text === undefined ? null : URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usageError("--edge needs the Worker's address", joinUsage);
  }
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (url.protocol === "http:" && !isHere) {
    throw usageError("--edge must be an https address: the token travels there", joinUsage);
  }
  return url.href;
}

interface Joining {
  readonly edge: string;
  readonly token: string | undefined;
  readonly folder: string;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** As it has joined before, or joins now. */
async function joinedAs({ edge, token, folder, log, signal }: Joining): Promise<JoinedState> {
  const known = await readNodeState(folder, "joined");
  const given = token?.slice(0, tokenIdCharacters);
  if (known !== undefined && (given === undefined || given === known.token)) {
    if (known.edge === edge) return known;
    throw new AppError(
      "usage",
      `The node of ${folder} has joined ${known.edge}, not ${edge}. Give a token of the other, or another --state.`,
    );
  }
  if (token === undefined || given === undefined) {
    throw usageError("Give a --token, or set BLIP2_JOIN_TOKEN", joinUsage);
  }
  const begun = await readNodeState(folder, "joining");
  const proof = begun?.token === given ? begun.proof : randomBytes(32).toString("hex");
  await writeNodeState(folder, "joining", { token: given, proof });
  const { name, origin, key } = await joinEdge({ edgeUrl: edge, token, proof, log, signal });
  const state = { edge, token: given, name, origin, keys: [key] };
  await writeNodeState(folder, "joined", state);
  return state;
}
