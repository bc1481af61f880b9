import { expect, test } from "vitest";
import { memoryTables } from "../../../test/support/sqlite.ts";
import { keyBook } from "./key-book.ts";

function newBook(upTo?: number) {
  const table = memoryTables(upTo);
  const changed: string[] = [];
  let time = Date.UTC(2030, 0, 1);
  const book = keyBook({
    table,
    changed: (id) => void changed.push(id),
    now: () => (time += 1000),
  });
  return { table, book, changed };
}

test("a key is made with what was asked, and its secret is stored nowhere", async () => {
  const { table, book } = newBook();
  const limits = { requests_per_minute: 60, inferences_per_day: 10, concurrency: 2 };
  const { key, ...made } = await book.create(
    {
      ...{ name: "cms", scopes: ["infer", "search", "infer"], limits, no_store: true },
      ...{ fetch_allow: ["img.example.com:443"], expires_at: "2031-01-01T00:00:00Z" },
    },
    "ada",
  );
  expect(made).toMatchObject({
    ...{ tenant: "ada", name: "cms", scopes: ["infer", "search"], no_store: true },
    ...{ limits: { ...limits, inferences_per_month: null }, fetch_allow: ["img.example.com:443"] },
    ...{ expires_at: "2031-01-01T00:00:00.000Z", revoked_at: null, last_used_at: null },
  });
  expect(key.startsWith(made.prefix)).toBe(true);
  expect(await book.read("ada", made.id)).toEqual(made);
  expect(JSON.stringify(table.db.prepare("SELECT * FROM api_keys").all())).not.toContain(
    key.slice(17),
  );
});

test("what an update leaves out stays, null takes a limit away", async () => {
  const { book, changed } = newBook();
  const made = await book.create(
    { name: "a", limits: { concurrency: 2, inferences_per_day: 5 } },
    "ada",
  );
  const { id } = made;
  const updated = await book.update("ada", { id, limits: { concurrency: null }, name: "b" });
  expect(updated).toMatchObject({
    name: "b",
    limits: { concurrency: null, inferences_per_day: 5 },
  });
  expect(await book.update("ada", { id })).toEqual(updated);
  const until = "2031-01-01T00:00:00.000Z";
  expect((await book.update("ada", { id, expires_at: until })).expires_at).toBe(until);
  expect((await book.update("ada", { id, expires_at: null })).expires_at).toBeNull();
  expect(changed.at(-1)).toBe(id);
});

test("another tenant's key is as unknown as none; the operator sees all, page by page", async () => {
  const { book } = newBook();
  const ids: string[] = [];
  for (const tenant of ["ada", "bob", "ada"]) {
    ids.push((await book.create({ name: tenant }, tenant)).id);
  }
  const [ada = "", bob = ""] = ids;
  const attempts = [
    () => book.read("ada", bob),
    () => book.update("ada", { id: bob, name: "mine" }),
    () => book.rotate("ada", bob),
    () => book.revoke("ada", bob),
    () => book.revoke("ada", "nobody"),
  ];
  const words = new Set<string>();
  for (const attempt of attempts) {
    const error: unknown = await attempt().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "not_found" });
    words.add(String(error));
  }
  expect(words.size).toBe(1);
  expect((await book.read("bob", bob)).name).toBe("bob");
  expect((await book.list("ada", undefined)).keys.map(({ id }) => id)).toEqual([ada, ids[2]]);
  const first = await book.list("*", undefined, 2);
  expect(first.keys.map(({ id }) => id)).toEqual([ada, bob]);
  const rest = await book.list("*", first.cursor, 2);
  expect(rest).toEqual({ keys: [expect.objectContaining({ id: ids[2] })] });
});

test("revoking twice keeps the first time", async () => {
  const { book } = newBook();
  const { id } = await book.create({ name: "a" }, "ada");
  const { revoked_at } = await book.revoke("ada", id);
  expect(revoked_at).not.toBeNull();
  expect((await book.revoke("ada", id)).revoked_at).toBe(revoked_at);
});

test("a table from before the migration keeps its rows, which may infer without a limit", async () => {
  const { table, book } = newBook(1);
  table.db.exec(
    "INSERT INTO api_keys (id, prefix, secret_hash, tenant, name, created_at) VALUES ('old', 'b2e_old', 'h', 'ada', 'old', 1)",
  );
  table.migrate();
  expect(await book.read("ada", "old")).toMatchObject({
    ...{ scopes: ["infer"], fetch_allow: [], no_store: false },
    limits: { requests_per_minute: null, concurrency: null },
  });
});
