import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import { createTables, type IndexValue } from "./index-sql.ts";
import { wordRanking } from "./word-ranking.ts";

/** 200 records: "ground" in all, "red" in every third, a word of its own in each, "owl" in every 40th. */
function ranking(maxRanked: number) {
  const db = new DatabaseSync(":memory:");
  let ranked = 0;
  const all = <Row>(query: string, ...values: IndexValue[]): Row[] => {
    const rows = db.prepare(query).all(...values) as Row[];
    if (query.includes("bm25")) ranked += 1;
    return rows;
  };
  createTables({ exec: (query, ...values) => ({ toArray: () => all(query, ...values) }) });
  for (let seq = 1; seq <= 200; seq++) {
    const red = seq % 3 === 0 ? "red " : "";
    const owl = seq % 40 === 0 ? "owl " : "";
    const [title, caption] = [
      seq === 80 ? "Red Owl" : null,
      `a ${red}${owl}thing${seq} on a ground`,
    ];
    all(
      "INSERT INTO words (rowid, title, text, tags, caption) VALUES (?, ?, NULL, '', ?)",
      seq,
      title,
      caption,
    );
  }
  const count = (query: string, ...values: IndexValue[]): number =>
    all<{ n: number }>(query, ...values)[0]?.n ?? 0;
  const rank = wordRanking({ all, count, records: () => 200, maxRanked });
  return {
    ask: (text: string, allowed?: ReadonlySet<number>) => {
      const { scores, told } = rank(text, allowed, 20);
      const order = [...scores].toSorted(([, a], [, b]) => b - a).map(([seq]) => seq);
      return { order, told: [...told], scores };
    },
    ranked: () => ranked,
  };
}

test("in a large namespace rare words rank, frequent ones tell apart, what is everywhere says nothing", () => {
  const { ask } = ranking(20);
  const whole = ranking(1000);
  const query = "a red owl on a ground";
  // 80 has both in its title; 120 is the other owl that is red, before those that are not.
  expect(ask(query).order.slice(0, 2)).toEqual([80, 120]);
  expect(ask(query).order.toSorted((a, b) => a - b)).toEqual([40, 80, 120, 160, 200]);
  expect(whole.ask(query).order.slice(0, 2)).toEqual([80, 120]);
  expect(ask("thing7").order).toEqual([7]);
  expect(ask("thing7").scores).toEqual(whole.ask("thing7").scores);
});

test("words that stand nearly everywhere rank nothing, and nothing is ranked by them", () => {
  const { ask, ranked } = ranking(20);
  expect(ask("a ground").order).toEqual([]);
  expect(ranked()).toBe(0);
  expect(ask("nowhere").order).toEqual([]);
});

test("what people wrote is told apart in a large namespace too, and filters hold", () => {
  const { ask } = ranking(20);
  expect(ask("owl red").told).toEqual([80]);
  expect(ask("thing80").told).toEqual([]);
  expect(ask("red owl", new Set([120, 121])).order).toEqual([120]);
  expect(ask("red owl", new Set([120, 121])).told).toEqual([]);
});
