import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readNodeState, readStateKeys, writeNodeState, type JoinedState } from "./node-state.ts";

let folder: string;
beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), "blip2-state-")), "state");
});
afterEach(() => rm(path.dirname(folder), { recursive: true }));

test("what was written is read, by its owner alone", async () => {
  expect(await readNodeState(folder, "joined")).toBeUndefined();
  await expect(readStateKeys(folder)).rejects.toMatchObject({ code: "usage" });
  const state: JoinedState = {
    ...{ edge: "https://edge.example.com", token: "b2e_join_00", name: "gpu-1" },
    origin: "https://gpu-1.example.com",
    keys: [{ id: "gpu-1.0123456789ab", secret: "s".repeat(64) }],
  };
  await writeNodeState(folder, "joined", state);
  await writeNodeState(folder, "joining", { token: "t", proof: "p" });
  expect(await readNodeState(folder, "joined")).toEqual(state);
  expect(await readStateKeys(folder)).toBe(`gpu-1.0123456789ab:${"s".repeat(64)}`);
  expect(await readNodeState(folder, "joining")).toEqual({ token: "t", proof: "p" });
  for (const file of ["node.json", "joining.json"]) {
    expect((await stat(path.join(folder, file))).mode & 0o777).toBe(0o600);
  }
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
});

test("a file that is none is refused, and not repeated", async () => {
  await writeNodeState(folder, "joining", { token: "t", proof: "p" });
  for (const text of ['{"proof": "secret"', '{"proof": "secret"}']) {
    await writeFile(path.join(folder, "joining.json"), text);
    const refused = await readNodeState(folder, "joining").catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "usage" });
    expect(String(refused)).not.toContain("secret");
  }
});
