import { expect, test } from "vitest";
import { memorySql } from "../../../test/support/sqlite.ts";
import { createMembership } from "./membership.ts";

const origin = "https://gpu-1.example.com";
const offer = (more: { readonly name?: string; readonly tokenId?: string } = {}) => ({
  ...{ tokenId: "t1", name: "gpu-1", origin, expiresAt: 1000 },
  ...more,
});
const spend = (tokenId: string, suffix: string, proof = "p") => ({ tokenId, suffix, proof });
function joined() {
  const members = createMembership(memorySql());
  members.offer(offer(), 0);
  members.join(spend("t1", "a"), 10);
  return members;
}

test("a token is good once, in its time; with the same proof it gives the same again", () => {
  const members = createMembership(memorySql());
  expect(members.offer(offer(), 0)).toBe("offered");
  const member = { name: "gpu-1", origin, keyIds: ["gpu-1.a"], joinedAt: 10 };
  expect(members.join(spend("t1", "a"), 10)).toEqual({ member, ended: [] });
  expect(members.join(spend("t1", "b"), 20)).toEqual({ member, ended: [] });
  expect(members.join(spend("t1", "b", "another"), 20)).toBeUndefined();
  expect(members.join(spend("unknown", "b"), 20)).toBeUndefined();
  expect(members.standingOf("gpu-1.b", 20)).toBeUndefined();
  expect(members.standingOf("gpu-1.a", 20)).toEqual({ ...member, removed: false });
  members.offer(offer({ tokenId: "t2", name: "gpu-2" }), 20);
  expect(members.join(spend("t2", "a"), 1000)).toBeUndefined();
  expect(members.list(1000)).toEqual([member]);
});

test("another token for the same name ends the one before", () => {
  const members = createMembership(memorySql());
  members.offer(offer(), 0);
  members.offer(offer({ tokenId: "t2" }), 0);
  expect(members.join(spend("t1", "a"), 1)).toBeUndefined();
  expect(members.join(spend("t2", "a"), 1)?.member.keyIds).toEqual(["gpu-1.a"]);
});

test("who joins under a name that is there takes its place, and its keys are over", () => {
  const members = joined();
  members.rotate("gpu-1", "b", 100, 15);
  members.offer(offer({ tokenId: "t2" }), 20);
  expect(members.standingOf("gpu-1.a", 20)).toBeDefined();
  expect(members.join(spend("t2", "c"), 30)?.ended).toEqual(["gpu-1.b", "gpu-1.a"]);
  for (const over of ["gpu-1.a", "gpu-1.b"]) expect(members.standingOf(over, 30)).toBeUndefined();
  expect(members.list(30)).toHaveLength(1);
  // The lost answer of a token does not bring back what came after it.
  members.rotate("gpu-1", "d", 0, 40);
  expect(members.join(spend("t2", "e"), 40)).toBeUndefined();
});

test("both keys hold until the node signs with the new one, and the old for its time after", () => {
  const members = joined();
  expect(members.rotate("gpu-1", "b", 100, 20)?.keyIds).toEqual(["gpu-1.b", "gpu-1.a"]);
  // Asked for again meanwhile it is the same rotation.
  expect(members.rotate("gpu-1", "c", 100, 30)?.keyIds).toEqual(["gpu-1.b", "gpu-1.a"]);
  members.signsWith("gpu-1.a", 5000);
  expect(members.standingOf("gpu-1.a", 5000)?.keyIds).toEqual(["gpu-1.b", "gpu-1.a"]);
  members.signsWith("gpu-1.b", 6000);
  members.signsWith("gpu-1.b", 6050);
  expect(members.standingOf("gpu-1.a", 6099)).toBeDefined();
  expect(members.standingOf("gpu-1.a", 6100)).toBeUndefined();
  expect(members.standingOf("gpu-1.b", 6100)?.keyIds).toEqual(["gpu-1.b"]);
  expect(members.rotate("gpu-1", "c", 0, 6200)?.keyIds).toEqual(["gpu-1.c", "gpu-1.b"]);
  members.signsWith("gpu-1.c", 6300);
  expect(members.list(6300)[0]?.keyIds).toEqual(["gpu-1.c"]);
  expect(members.rotate("unknown", "x", 0, 0)).toBeUndefined();
});

test("who is sent away is told so for a while, and is then unknown; its name is free", () => {
  const members = joined();
  members.offer(offer({ tokenId: "t2" }), 10);
  expect(members.remove("gpu-1", 20)?.keyIds).toEqual(["gpu-1.a"]);
  expect(members.remove("gpu-1", 20)).toBeUndefined();
  expect(members.list(20)).toEqual([]);
  expect(members.rotate("gpu-1", "b", 0, 20)).toBeUndefined();
  // A token that was out for it is over, too.
  expect(members.join(spend("t2", "b"), 20)).toBeUndefined();
  expect(members.standingOf("gpu-1.a", 20)).toMatchObject({ removed: true });
  members.offer(offer({ tokenId: "t3" }), 30);
  members.join(spend("t3", "c"), 40);
  expect(members.standingOf("gpu-1.a", 40)).toBeUndefined();
  members.remove("gpu-1", 50);
  expect(members.standingOf("gpu-1.c", 600_049)).toMatchObject({ removed: true });
  expect(members.standingOf("gpu-1.c", 600_050)).toBeUndefined();
});

test("is bounded", () => {
  const members = createMembership(memorySql());
  for (let at = 0; at < 500; at++) {
    const name = `n${at}`;
    expect(members.offer(offer({ tokenId: name, name }), 0)).toBe("offered");
    if (at % 2 === 0) members.join(spend(name, "a"), 0);
  }
  expect(members.offer(offer({ tokenId: "more", name: "more" }), 0)).toBe("full");
  expect(members.offer(offer({ tokenId: "again", name: "n7" }), 0)).toBe("offered");
});
