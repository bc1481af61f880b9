// What the reader of log lines sees in sources made for it. That the pages are held to the real ones is a step of
// `npm run check` (log-pages.ts).
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { logLines } from "./log-lines.ts";
import { documented } from "./log-pages.ts";

const root = mkdtempSync(path.join(tmpdir(), "blip2-lines-"));
afterAll(() => rmSync(root, { recursive: true }));
function source(file: string, text: string): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), text);
}

test("the Worker's ways of writing a line", async () => {
  source(
    "edge/src/jobs/a.ts",
    `writeEvent({ event: out ? "node_back" : "node_out", node: url }, write);
     const event: LogEvent = { ...{ event: "request", at: "" }, ...more };
     event["cache"] = "hit";
     context.event["tenant"] = tenant;
     event[\`\${hop}_ms\`] = 1;
     other["secret"] = 1;
     send({ event: "text", data: 1 });`,
  );
  source("edge/src/jobs/a.test.ts", `event["tested"] = 1;`);
  const { events, fields, unread } = await logLines(root, "worker");
  expect([...events]).toEqual(["node_back", "node_out", "request"]);
  expect([...fields]).toEqual(["event", "node", "at", "cache", "tenant"]);
  expect([...unread]).toEqual(["more", "`${hop}_ms`"]);
});

test("a node's ways of writing a line", async () => {
  source(
    "gpu-node/src/http/a.ts",
    `log.warn("late", { ms: 1, ...(known ? { why } : {}) });
     log("ready", { ...rest });
     log("no event but a sentence");
     function jobFields(answered) {
       return { model, [kind === "embed" ? "embeddings" : "texts"]: 1 };
     }`,
  );
  const { events, fields, unread } = await logLines(root, "node");
  expect([...events]).toEqual(["late", "ready"]);
  expect([...fields]).toEqual(["ms", "why", "model", "embeddings", "texts"]);
  expect([...unread]).toEqual(["rest"]);
});

test("rows are those of tables of fields alone", () => {
  const page =
    "| field | meaning |\n| --- | --- |\n| `a`, `b_ms` | `c` |\n\n| hop |\n| --- |\n| `d` |\n";
  expect([...documented(page, "field")]).toEqual(["a", "b_ms"]);
});
