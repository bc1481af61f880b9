import { describe, expect, test } from "vitest";
import type { Caller } from "../auth/caller.ts";
import { noLimits } from "../auth/caller.ts";
import { agentCallers, agentTokenOf } from "./agent-callers.ts";
import type { GrantRecord } from "./grant-book.ts";
import { grantStanding } from "./standing.ts";

const grantId = `grt_${"0a".repeat(16)}`;
const token = `${grantId}:own:secret`;
const key: Caller = {
  ...{ keyId: "k1", tenant: "ada", scopes: ["infer", "search", "jobs", "admin"] },
  ...{ limits: noLimits, fetchAllow: [], noStore: true, isOperator: false },
};
const grant: GrantRecord = {
  ...{ id: grantId, tenant: "ada", key_id: "k1", client_id: "c", client_name: "Desk" },
  ...{ redirect_host: "desk.example", scopes: ["infer", "search", "index"], proof: "key" },
  ...{ person: null, created_at: 0, refreshed_at: 0, expires_at: 1, revoked_at: null },
};
interface World {
  readonly grant?: GrantRecord | undefined;
  readonly key?: Caller | undefined;
  readonly scopes?: readonly string[];
  readonly acts?: boolean;
}
function find(world: World) {
  const standing = grantStanding({
    grants: { live: () => Promise.resolve("grant" in world ? world.grant : grant) },
    callerOfKey: () => Promise.resolve("key" in world ? world.key : key),
    isKeyOf: () => world.acts ?? false,
  });
  const { scopes = ["infer", "index", "admin"] } = world;
  return agentCallers(standing)(token, {
    check: () => Promise.resolve({ grantId, keyId: "k1", scopes }),
  });
}

test("a token is the key with what token, grant and key have in common, of what tools need", async () => {
  expect(await find({})).toEqual({
    ...{ grantId, granted: ["infer"], grantable: ["infer", "search"] },
    caller: { ...key, scopes: ["infer"] },
  });
  expect((await find({ scopes: ["search", "infer"] })).granted).toEqual(["infer", "search"]);
  expect((await find({ key: { ...key, scopes: ["admin"] } })).caller.scopes).toEqual([]);
});

test.each<[string, World]>([
  ["no grant", { grant: undefined }],
  ["no key", { key: undefined }],
  ["the grant of another key", { grant: { ...grant, key_id: "k2" } }],
  ["a person who acts with another key", { grant: { ...grant, proof: "access", person: "a@b.c" } }],
])("%s: nobody", async (_, world) => {
  await expect(find(world)).rejects.toMatchObject({ code: "unauthorized" });
});

test("a person of Access who pasted the key is not asked for another", async () => {
  const pasted = { ...grant, person: "a@b.c" };
  expect(await find({ grant: pasted })).toMatchObject({ grantId });
  expect(await find({ grant: { ...pasted, proof: "access" }, acts: true })).toMatchObject({
    grantId,
  });
});

describe("what has the form of a token", () => {
  test.each([token, `${grantId}:a-b_c:d`])("%s", (text) => {
    expect(agentTokenOf(`Bearer ${text}`)).toBe(text);
    expect(agentTokenOf(`bearer   ${text}`)).toBe(text);
  });
  test.each([
    ...["b2e_0123456789AB_x", `${grantId}:a`, `${grantId}:a:b:c`, "grt_x:a:b", `x${token}`],
    ...[`${grantId}:a:${"b".repeat(600)}`, `${token} more`, ""],
  ])("not %s", (text) => expect(agentTokenOf(`Bearer ${text}`)).toBeUndefined());
  test("not without its scheme", () => {
    expect([agentTokenOf(undefined), agentTokenOf(token), agentTokenOf(`Basic ${token}`)]).toEqual([
      ...[undefined, undefined, undefined],
    ]);
  });
});
