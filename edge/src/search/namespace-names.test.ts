import { expect, test } from "vitest";
import { memoryTables } from "../../../test/support/sqlite.ts";
import { namespaceNames } from "./namespace-names.ts";

const names = namespaceNames(memoryTables());
const all = { prefix: "", after: "", limit: 10 };

test("names are listed by how they begin, page by page, each tenant's alone", async () => {
  for (const name of ["shop", "holiday", "holiday-2026", "holiday-2026", "0-9"]) {
    await names.note("ada", name);
  }
  await names.note("bob", "holidays");
  expect(await names.list("ada", all)).toEqual(["0-9", "holiday", "holiday-2026", "shop"]);
  expect(await names.list("ada", { ...all, prefix: "holiday" })).toEqual([
    "holiday",
    "holiday-2026",
  ]);
  expect(await names.list("ada", { prefix: "h", after: "holiday", limit: 1 })).toEqual([
    "holiday-2026",
  ]);
  expect(await names.list("bob", { ...all, prefix: "holiday-" })).toEqual([]);
  await names.forget("ada", "holiday");
  expect(await names.list("ada", { ...all, prefix: "holi" })).toEqual(["holiday-2026"]);
  expect(await names.list("bob", all)).toEqual(["holidays"]);
});
