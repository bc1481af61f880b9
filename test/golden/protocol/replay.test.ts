// Every release of edge and node understands every other one that speaks this version of the protocol: what was said once
// is replayed to today's edge and node, and what they say today is read as each release read it. When one of these fails,
// it is the code that is wrong: a node and its edge are never changed at the same moment.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { protocolVersion } from "@blip2-edge/shared/wire/protocol";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  answering,
  beat,
  bytesOf,
  eventsOf,
  goldenSchema,
  misread,
  plain,
  provenBy,
  type RecordedExchange,
  recorded,
  speak,
  timeless,
  understood,
} from "./golden.ts";
import { scenarios } from "./scenarios.ts";
import { announcingNode, hearingEdge, nodeSide } from "./sides.ts";

const folder = path.join(import.meta.dirname, protocolVersion);
const goldens = readdirSync(folder).map((name) =>
  goldenSchema.parse(JSON.parse(readFileSync(path.join(folder, name), "utf8"))),
);

afterEach(() => vi.useRealTimers());

/** The clock stands when it was said, so that its signature is valid. */
function turnBackTo({ asked }: RecordedExchange): void {
  const created = /created=(\d+)/.exec(asked.headers["signature-input"] ?? "")?.[1];
  vi.useFakeTimers({ now: Number(created) * 1000, toFake: ["Date"] });
}
const sent = ({ method, asked }: RecordedExchange): RequestInit => ({
  method,
  headers: asked.headers,
  ...(method === "GET" ? {} : { body: bytesOf(asked) }),
});
const scenarioOf = (name: string) => {
  const scenario = scenarios[name];
  if (scenario === undefined) throw new Error(`the scenario ${name} was released; bring it back`);
  return scenario;
};

test("there is a golden", () => expect(goldens.map(({ version }) => version)).toContain("0.1.0"));

describe.each(goldens)("release $version", (golden) => {
  test.each(Object.keys(golden.scenarios))("its edge is answered as it was: %s", async (name) => {
    for (const exchange of golden.scenarios[name]?.exchanges ?? []) {
      turnBackTo(exchange);
      const line = recorded(nodeSide(scenarioOf(name)));
      await line.send(exchange.url, sent(exchange));
      const [now] = line.exchanges;
      if (now === undefined) throw new Error("nothing was answered");
      expect(now.status).toBe(exchange.status);
      expect(now.told.headers["content-type"]).toBe(exchange.told.headers["content-type"]);
      expect(now.told.headers["blip2-protocol"]).toBe(exchange.told.headers["blip2-protocol"]);
      // It may say more.
      if (now.told.headers["content-type"]?.startsWith("text/event-stream") === true) {
        expect(await eventsOf(now.told)).toEqual(await eventsOf(exchange.told));
      } else {
        expect(JSON.parse(now.told.text ?? "")).toMatchObject(
          JSON.parse(exchange.told.text ?? "") as object,
        );
      }
      expect(await misread(golden, now)).toEqual([]);
    }
  });

  test.each(Object.keys(golden.scenarios))("its node is understood: %s", async (name) => {
    const told = golden.scenarios[name];
    const line = recorded(answering(told?.exchanges ?? []));
    expect(plain(await understood(scenarioOf(name), line.send))).toEqual(told?.understood);
    // And it understands how it is asked: strictly, under a signature of the same form.
    expect(line.exchanges.map(({ asked }) => provenBy(asked))).toEqual(
      told?.exchanges.map(({ asked }) => provenBy(asked)),
    );
    for (const exchange of line.exchanges) expect(await misread(golden, exchange)).toEqual([]);
  });

  test("its node is heard of", async () => {
    const { exchanges, nodes } = golden.heartbeats;
    const [first] = exchanges;
    if (first === undefined) throw new Error("no heartbeats");
    turnBackTo(first);
    const edge = hearingEdge();
    for (const [at, exchange] of exchanges.entries()) {
      const response = await edge.hear(exchange.url, sent(exchange));
      expect(await response.json()).toEqual(JSON.parse(exchange.told.text ?? ""));
      expect(timeless(await edge.list())).toEqual(nodes[at]);
    }
  });

  test("its edge hears of today's node, and tells it when to speak again", async () => {
    const { exchanges, pausesMs } = golden.heartbeats;
    const line = recorded(answering(exchanges));
    expect(await announcingNode(line.send)).toEqual(pausesMs);
    expect(line.exchanges.map(({ asked }) => provenBy(asked))).toEqual(
      exchanges.map(({ asked }) => provenBy(asked)),
    );
    for (const exchange of line.exchanges) expect(await misread(golden, exchange)).toEqual([]);
  });

  test("whatever is said today could be said to it", async () => {
    const { exchanges } = await beat();
    for (const scenario of Object.values(scenarios)) {
      exchanges.push(...(await speak(scenario)).exchanges);
    }
    expect(exchanges.length).toBeGreaterThan(20);
    for (const exchange of exchanges) expect(await misread(golden, exchange)).toEqual([]);
  });

  test("it would not read a field that it does not know, nor an answer without what it needs", async () => {
    const [exchange] = golden.scenarios["caption_held"]?.exchanges ?? [];
    if (exchange === undefined) throw new Error("no exchange");
    const withText = (side: "asked" | "told", change: (json: object) => object) => ({
      ...exchange,
      [side]: {
        ...exchange[side],
        text: JSON.stringify(change(JSON.parse(exchange[side].text ?? "") as object)),
      },
    });
    const more = (json: object) => ({ ...json, surprise: 1 });
    expect(await misread(golden, withText("asked", more))).toHaveLength(1);
    expect(await misread(golden, withText("told", more))).toEqual([]);
    const less = (json: object) => ({ ...json, results: undefined });
    expect(await misread(golden, withText("told", less))).toHaveLength(1);
  });
});
