// Three real nodes under steady load while they are restarted, changed to another artifact, given other keys and cut off,
// one after the other. What must come out of it is counted; times are printed and not judged.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { KeyText } from "../../infra/start/signing-keys.ts";
import { startLiveFleet, type LiveFleet, type LiveNode } from "../support/live-fleet.ts";
import { nanoArtifact } from "../support/nano-artifact.ts";
import { until } from "../support/served-node.ts";
import type { Answered, Load } from "../support/steady-load.ts";

const names = ["one", "two", "three"] as const;
const keyNamed = (id: string): KeyText => ({
  id,
  secret: `a-secret-that-is-long-enough-for-${id}`,
});
const patienceMs = 50_000;

let fleet: LiveFleet;
let artifacts: { readonly full: string; readonly small: string };
beforeAll(async () => {
  artifacts = { full: await nanoArtifact("fp32"), small: await nanoArtifact("int8") };
  fleet = await startLiveFleet({
    artifact: artifacts.full,
    keysOf: Object.fromEntries(
      names.map((name) => [name, [keyNamed(name), keyNamed(`${name}-2`)]]),
    ),
  });
});
afterAll(() => fleet?.stop());

const failed = (calls: readonly Answered[]): Answered[] =>
  calls.filter(({ status }) => status !== 200);
/** Resolves once each of these nodes has answered so many calls more. */
async function untilServed(nodes: readonly LiveNode[], more = 1): Promise<void> {
  const before = new Map(nodes.map((node) => [node, fleet.load.servedBy(node.url)]));
  await until(
    () => nodes.every((node) => fleet.load.servedBy(node.url) >= (before.get(node) ?? 0) + more),
    `${nodes.map(({ name }) => name).join(", ")} answer calls`,
    patienceMs,
  );
}
async function untilMore(load: Load, count: number): Promise<void> {
  const before = load.answered();
  await until(() => load.answered() >= before + count, `${count} calls are answered`, patienceMs);
}

test("all of them are restarted, one after the other: no call fails", async () => {
  const calls = await fleet.load.whileAsked(async () => {
    await untilServed(fleet.nodes);
    for (const node of fleet.nodes) {
      await node.restart();
      await untilServed([node]);
    }
    await untilServed(fleet.nodes);
  });
  console.log("a rolling restart:", fleet.load.figures(calls));
  expect(failed(calls)).toEqual([]);
  for (const node of fleet.nodes) {
    expect(node.logged("stopped"), node.name).toHaveLength(1);
    expect(node.logged("engine_ready"), node.name).toHaveLength(2);
  }
});

test("another revision comes to one node after the other: no call fails, and none is answered by the old after the new", async () => {
  let old: string | undefined;
  const calls = await fleet.load.whileAsked(async (load) => {
    await untilServed(fleet.nodes);
    old = load.calls[0]?.revision;
    const isNew = ({ revision }: Answered): boolean => revision !== undefined && revision !== old;
    const change = async (node: LiveNode | undefined): Promise<void> => {
      await node?.changeTo(artifacts.small);
      await until(() => node?.logged("reloaded").length === 1, "it is changed", patienceMs);
    };
    const [first, second, third] = fleet.nodes;
    // Calls come to it for what it held, before anybody was told that it was changed.
    first?.mute();
    await change(first);
    await untilMore(load, 20);
    first?.heal();
    await untilMore(load, 10);
    // One of three: what most hold is answered.
    expect(load.calls.filter(isNew)).toEqual([]);
    await change(second);
    // Two of three: the catalogue switches over before the last one is touched.
    await until(() => load.calls.some(isNew), "the new revision answers", patienceMs);
    await change(third);
    await untilServed(fleet.nodes);
    await untilMore(load, 20);
  });
  console.log("a rollout:", fleet.load.figures(calls));
  expect(failed(calls)).toEqual([]);
  const revisions = new Set(calls.map(({ revision }) => revision));
  expect(revisions.size).toBe(2);
  expect(revisions.has(old)).toBe(true);
  const firstNewAt = Math.min(
    ...calls.filter(({ revision }) => revision !== old).map(({ endedAt }) => endedAt),
  );
  const later = calls.filter(({ startedAt }) => startedAt > firstNewAt);
  expect(later.length).toBeGreaterThan(20);
  expect(later.filter(({ revision }) => revision === old)).toEqual([]);
});

test("their keys are replaced, in files that they read while they run: no call fails, and no signature is refused", async () => {
  const calls = await fleet.load.whileAsked(async () => {
    await untilServed(fleet.nodes);
    const give = async (keysOf: (node: LiveNode) => readonly KeyText[]): Promise<void> => {
      const before = fleet.nodes.map((node) => node.logged("keys_read").length);
      for (const node of fleet.nodes) await node.writeKeys(keysOf(node));
      await until(
        () => fleet.nodes.every((node, at) => node.logged("keys_read").length > (before[at] ?? 0)),
        "the files are read",
        patienceMs,
      );
    };
    const signedByNew = (node: LiveNode): boolean => {
      const last = node.logged("request").slice(-8);
      return last.length === 8 && last.every((line) => line["key_id"] === `${node.name}-2`);
    };
    await give(({ name }) => [keyNamed(name), keyNamed(`${name}-2`)]);
    await untilServed(fleet.nodes);
    await give(({ name }) => [keyNamed(`${name}-2`), keyNamed(name)]);
    // The old key goes once nothing is signed with it any more.
    await until(() => fleet.nodes.every(signedByNew), "the Worker signs with the new", patienceMs);
    await give(({ name }) => [keyNamed(`${name}-2`)]);
    await untilServed(fleet.nodes, 3);
  });
  console.log("keys are replaced:", fleet.load.figures(calls));
  expect(failed(calls)).toEqual([]);
  for (const node of fleet.nodes) {
    const refused = node.logged("request").filter((line) => line["status"] === 401);
    expect(refused, node.name).toEqual([]);
    expect(node.logged("keys_kept"), node.name).toEqual([]);
  }
});

test("one is cut off and comes back: no call fails, and it has its share again", async () => {
  const [lost, ...others] = fleet.nodes as [LiveNode, ...LiveNode[]];
  const isListed = async (): Promise<boolean> => (await fleet.listed()).includes(lost.url);
  const calls = await fleet.load.whileAsked(async (load) => {
    // So many that the Worker knows what a call usually takes, by which it sees that one hangs.
    await untilMore(load, 60);
    await untilServed(fleet.nodes);
    lost.cut();
    await until(async () => !(await isListed()), "the registry has forgotten it", patienceMs);
    await untilServed(others, 10);
    lost.heal();
    await until(isListed, "it announces itself again", patienceMs);
    await untilServed([lost], 3);
  });
  console.log("one is cut off:", fleet.load.figures(calls));
  expect(failed(calls)).toEqual([]);
});
