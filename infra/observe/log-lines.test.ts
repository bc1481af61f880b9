// Holds the pages about the log to the sources: every event and every field that the code can write is in a
// table, and no other. Who adds a field adds a row to docs/logs.md (or to the table of requests that it names).
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { logLines } from "./log-lines.ts";

const root = path.resolve(import.meta.dirname, "../..");
const page = (name: string): string => readFileSync(path.join(root, "docs", name), "utf8");
const section = (text: string, title: string): string =>
  text.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? "";

/** The names in the first column of every table whose first column is called `heading`. */
function documented(text: string, heading: string): string[] {
  const names: string[] = [];
  let inTable = false;
  for (const line of text.split("\n")) {
    const first = line.startsWith("|") ? (line.split("|")[1] ?? "").trim() : undefined;
    if (first === heading) inTable = true;
    else if (first === undefined) inTable = false;
    else if (inTable) names.push(...[...first.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
  }
  return names;
}
const logs = page("logs.md");
const pages = {
  node: [section(logs, "A node"), section(page("observability.md"), "The log")],
  worker: [section(logs, "The Worker"), section(page("edge-observability.md"), "The log")],
} as const;

/** What the sources compute, and the names that the pages have for it. */
const computed: Readonly<Record<keyof typeof pages, Readonly<Record<string, readonly string[]>>>> =
  {
    node: {
      // The object that logRequest was given, which is read where it is given.
      fields: [],
      line: [],
      "jobFields(answered)": [],
      "Object.fromEntries( Object.entries(times…": [
        ...["wait_ms", "vision_ms", "prefill_ms", "decode_ms", "match_ms", "embed_ms"],
      ],
      placement: ["nodes", "elsewhere", "copies", "copiedBytes"],
    },
    worker: {
      'because("key_ended")': ["reason", "detail"],
      swept: ["queued", "expired", "hooks", "deleted", "connections", "untitled"],
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
const always = { node: ["time", "level", "event"], worker: [] } as const;

test.each(["node", "worker"] as const)("every line of the %s is on its pages", async (side) => {
  const { events, fields, unread } = await logLines(root, side);
  expect([...unread].toSorted(), "a name that is computed: say above what it can be").toEqual(
    Object.keys(computed[side]).toSorted(),
  );
  const written = new Set([...fields, ...always[side], ...Object.values(computed[side]).flat()]);
  const said = pages[side].flatMap((text) => documented(text, "field"));
  expect([...new Set(said)].toSorted()).toEqual([...written].toSorted());
  expect(documented(pages[side].join("\n"), "event").toSorted()).toEqual([...events].toSorted());
});
