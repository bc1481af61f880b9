// Holds the pages about the log to the sources: every line and field that the code can write has a row in
// docs/logs.md or in one of the two tables of requests that it continues, and no other has. Part of `npm run check`.
import { readFileSync } from "node:fs";
import path from "node:path";
import { logLines } from "./log-lines.ts";

type Side = "node" | "worker";

/** Sections of pages, by the heading that they stand under. */
const pages: Readonly<Record<Side, readonly (readonly [file: string, heading: string])[]>> = {
  node: [
    ["logs.md", "A node"],
    ["observability.md", "The log"],
  ],
  worker: [
    ["logs.md", "The Worker"],
    ["edge-observability.md", "The log"],
  ],
};

/** What the sources compute, and the names that the pages have for it. */
const computed: Readonly<Record<Side, Readonly<Record<string, readonly string[]>>>> = {
  node: {
    // The object that logRequest was given, which is read where it is given.
    fields: [],
    line: [],
    "jobFields(answered)": [],
    "Object.fromEntries( Object.entries(times…": [
      ...["wait_ms", "vision_ms", "prefill_ms", "decode_ms", "match_ms", "embed_ms"],
    ],
  },
  worker: {
    'because("key_ended")': ["reason", "detail"],
    swept: ["queued", "expired", "hooks", "deleted", "connections", "untitled", "backfills"],
    name: [
      ...["node_attempts", "node_retries", "node_hedges", "node_vision_passes"],
      ...["inferences", "inferences_refunded"],
    ],
    "`cache_${tier}_fault`": ["cache_front_fault", "cache_back_fault"],
    // The hops of the page's own table, and the node's stages.
    "`${name}_ms`": ["auth_ms", "fetch_ms"],
    "`node_${stage}_ms`": ["node_queue_ms", "node_vision_ms"],
  },
};
/** What the logger itself puts into every line. */
const always: Readonly<Record<Side, readonly string[]>> = {
  node: ["time", "level", "event"],
  worker: [],
};

/** The names in the first column of every table whose first column is called `heading`. */
export function documented(text: string, heading: string): Set<string> {
  const names = new Set<string>();
  let inTable = false;
  for (const line of text.split("\n")) {
    const first = line.startsWith("|") ? (line.split("|")[1] ?? "").trim() : undefined;
    if (first === heading) inTable = true;
    else if (first === undefined) inTable = false;
    else if (inTable) for (const [, name = ""] of first.matchAll(/`([^`]+)`/g)) names.add(name);
  }
  return names;
}

const isNot = (names: ReadonlySet<string>) => (name: string) => !names.has(name);

/** One sentence for each row that is missing or too many. */
async function logPageFaults(root: string, side: Side): Promise<string[]> {
  const { events, fields, unread } = await logLines(root, side);
  const text = pages[side]
    .map(([file, heading]) => {
      const page = readFileSync(path.join(root, "docs", file), "utf8");
      return page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
    })
    .join("\n");
  const known = new Set(Object.keys(computed[side]));
  const written = new Set([...fields, ...always[side], ...Object.values(computed[side]).flat()]);
  const rows = { field: documented(text, "field"), event: documented(text, "event") };
  const missing = (what: "field" | "event", names: ReadonlySet<string>): string[] => [
    ...[...names].filter(isNot(rows[what])).map((name) => `no row for the ${what} \`${name}\``),
    ...[...rows[what]].filter(isNot(names)).map((name) => `the ${what} \`${name}\` is not written`),
  ];
  return [
    ...[...missing("field", written), ...missing("event", events)].map(
      (fault) => `docs/logs.md, ${side}: ${fault}`,
    ),
    ...[...unread]
      .filter(isNot(known))
      .map((name) => `infra/observe/log-pages.ts, ${side}: say what \`${name}\` can be`),
  ];
}

/** Prints every fault and resolves to whether there was none. */
export async function checkLogPages(root: string): Promise<boolean> {
  const faults = [...(await logPageFaults(root, "node")), ...(await logPageFaults(root, "worker"))];
  for (const fault of faults) console.error(fault);
  return faults.length === 0;
}
