// `blip2 serve` as a process of its own: what it prints, how it ends, what it leaves.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, expect, test } from "vitest";
import { nanoArtifact } from "../../../test/support/nano-artifact.ts";

const main = join(import.meta.dirname, "main.ts");
const keys = "test:0123456789abcdef0123456789abcdef";

let artifact: string;
beforeAll(async () => {
  artifact = await nanoArtifact();
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

function blip2(args: readonly string[], nodeKeys: string | undefined = keys) {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...(nodeKeys === "" ? {} : { BLIP2_NODE_KEYS: nodeKeys }) },
  });
  children.push(child);
  const stdout: string[] = [];
  let stderr = "";
  const lines = createInterface({ input: child.stdout }).on("line", (line) => stdout.push(line));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const exit = once(child, "close") as Promise<[number | null, string | null]>;
  return { child, stdout, firstLine: once(lines, "line"), exit, stderr: () => stderr };
}

/** An orphan that has ended stays a zombie until whoever inherited it looks: that is not alive. */
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" && !existsSync("/proc/self");
  }
};
async function isGone(pid: number, limitMs = 10_000): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (isAlive(pid) && performance.now() < end) await sleep(20);
  return !isAlive(pid);
}

interface Listening {
  readonly event: string;
  readonly url: string;
  readonly pid: number;
  readonly engine_pids: readonly number[];
}
async function served(args: readonly string[] = [], nodeKeys?: string) {
  const process_ = blip2(["serve", "--model", artifact, ...args], nodeKeys);
  const [line] = (await process_.firstLine) as [string];
  return { ...process_, listening: JSON.parse(line) as Listening };
}

test("says where it listens once it is ready, ends in order on SIGTERM", async () => {
  const { child, listening, exit, stdout, stderr } = await served();
  expect(listening).toEqual({
    event: "listening",
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string,
    pid: child.pid,
    engine_pids: [expect.any(Number) as number],
  });
  expect((await fetch(`${listening.url}/readyz`)).status).toBe(200);
  child.kill("SIGTERM");
  expect(await exit).toEqual([0, null]);
  expect(isAlive(listening.engine_pids[0] ?? 0)).toBe(false);
  expect(stdout).toHaveLength(1);
  for (const line of stderr().trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("event");
  expect(stderr()).not.toContain("0123456789abcdef");
});

test("a door that is killed leaves no engine behind", async () => {
  const { child, listening } = await served();
  child.kill("SIGKILL");
  expect(await isGone(listening.engine_pids[0] ?? 0)).toBe(true);
});

test("Ctrl-C to the whole group is obeyed by the door, which ends the engine", async () => {
  const { child, listening, exit } = await served();
  process.kill(listening.engine_pids[0] ?? 0, "SIGINT");
  await sleep(100);
  expect((await fetch(`${listening.url}/readyz`)).status).toBe(200);
  child.kill("SIGINT");
  expect(await exit).toEqual([0, null]);
});

test("told to end a second time it ends at once, whatever runs", async () => {
  const { child, listening } = await served(["--drain-seconds", "600"]);
  // The engine has the same standard error, so that "close" would wait for it.
  const exit = once(child, "exit");
  // A stopped engine answers nothing, so that the first signal alone would wait for it.
  process.kill(listening.engine_pids[0] ?? 0, "SIGSTOP");
  try {
    child.kill("SIGTERM");
    while ((await fetch(`${listening.url}/readyz`).catch(() => ({ ok: false }))).ok) await sleep(5);
    child.kill("SIGTERM");
    expect(await exit).toEqual([143, null]);
  } finally {
    process.kill(listening.engine_pids[0] ?? 0, "SIGCONT");
  }
  expect(await isGone(listening.engine_pids[0] ?? 0)).toBe(true);
});

test("told to end while it still loads, it ends without having served", async () => {
  const { child, exit, stdout, stderr } = blip2(["serve", "--model", artifact]);
  while (!stderr().includes('"starting"')) await sleep(10);
  child.kill("SIGTERM");
  expect(await exit).toEqual([130, null]);
  expect(stdout).toEqual([]);
  expect(stderr()).not.toContain("Warning");
});

test("keys may come from a file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "blip2-keys-"));
  try {
    await writeFile(join(folder, "keys"), `${keys}\n`, { mode: 0o600 });
    const { listening } = await served(["--keys-file", join(folder, "keys")], "");
    expect(listening.event).toBe("listening");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("without keys, with wrong flags or without a model it says what is wrong: exit 2", async () => {
  const noKeys = blip2(["serve", "--model", artifact, "--host", "0.0.0.0", "--port", "x"], "");
  expect(await noKeys.exit).toEqual([2, null]);
  expect(noKeys.stderr()).toMatch(/--port: not a whole number; keys: .*BLIP2_NODE_KEYS/);
  const unknown = blip2(["serve", "--modle", artifact]);
  expect(await unknown.exit).toEqual([2, null]);
  expect(unknown.stderr()).toContain("--modle");
});

test("a start that fails ends with its reason and leaves nothing: exit 1", async () => {
  const wrong = blip2(["serve", "--model", "/nowhere"]);
  expect(await wrong.exit).toEqual([1, null]);
  expect(wrong.stderr()).toContain("/nowhere is not an artifact");
  expect(wrong.stdout).toEqual([]);
});
