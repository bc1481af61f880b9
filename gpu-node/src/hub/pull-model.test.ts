// A pull against a hub that misbehaves: what ends up in the cache, what is asked for, who sees the token.
import { createHash } from "node:crypto";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FakeHub, startFakeHub } from "../../../test/support/fake-hub.ts";
import { pullModel, type PullOptions } from "./pull-model.ts";
import { resolveCheckpoint } from "./resolve-checkpoint.ts";

const repo = "Org/tiny-blip2";
const commit = "0123456789abcdef0123456789abcdef01234567";
const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
const [shard] = shards;
const index = { weight_map: { a: shards[0], b: shards[1], c: shards[0] } };
/** Bytes without a period, so that a shifted part is a wrong part. */
const noise = (bytes: number, seed: string): Buffer =>
  Buffer.concat(
    Array.from({ length: Math.ceil(bytes / 32) }, (_, at) =>
      createHash("sha256").update(`${seed}${at}`).digest(),
    ),
  ).subarray(0, bytes);
const small = (value: unknown) => ({ content: Buffer.from(JSON.stringify(value)), large: false });
const large = (bytes: number, seed: string) => ({ content: noise(bytes, seed), large: true });
const wholeRepo = {
  "config.json": small({ model_type: "blip-2" }),
  "preprocessor_config.json": small({ size: 224 }),
  "tokenizer.json": large(5000, "tokenizer"),
  "model.safetensors.index.json": small(index),
  [shards[0]]: large(200_000, "one"),
  [shards[1]]: large(3000, "two"),
  // Never fetched: there are safetensors.
  "pytorch_model.bin": large(10, "pickle"),
};
const totalBytes = Object.entries(wholeRepo)
  .filter(([name]) => name !== "pytorch_model.bin")
  .reduce((sum, [, { content }]) => sum + content.length, 0);

let cacheFolder: string;
let hub: FakeHub;
let log: string[];
beforeEach(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), "blip2-hub-"));
  log = [];
  hub = await startFakeHub({ repo, commit, files: wholeRepo });
});
afterEach(async () => {
  await hub.close();
  await rm(cacheFolder, { recursive: true });
});

const replaceHub = async (files: Parameters<typeof startFakeHub>[0]["files"]) => {
  await hub.close();
  hub = await startFakeHub({ repo, commit, files });
};

type Overrides = Partial<Omit<PullOptions, "settings">> & {
  readonly settings?: Partial<PullOptions["settings"]>;
};
let waits: number[];
const pull = ({ settings = {}, ...rest }: Overrides = {}) => {
  waits = [];
  return pullModel({
    name: { repo, revision: "main" },
    signal: new AbortController().signal,
    log: (line) => void log.push(line),
    tools: {
      fetch: globalThis.fetch,
      wait: async (ms, signal) => {
        waits.push(ms);
        await new Promise((resolve) => setTimeout(resolve, 5));
        signal.throwIfAborted();
      },
      now: Date.now,
      random: () => 0,
    },
    ...rest,
    settings: {
      endpoint: hub.url,
      cacheFolder,
      token: "hf_secret",
      offline: false,
      headTimeoutMs: 2000,
      stallTimeoutMs: 10_000,
      ...settings,
    },
  });
};
const failure = async (promise: Promise<unknown>): Promise<AppError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof AppError) return error;
  throw new Error(`no AppError but ${String(error)}`);
};
const at = (...parts: string[]) => join(cacheFolder, "models--Org--tiny-blip2", ...parts);
const partialOf = (name: string) => at("blobs", `${hub.digestOf(name)}.blip2.incomplete`);
const listAll = async (...parts: string[]) => (await readdir(at(...parts))).sort();
const expectWhole = async (path: string) => {
  for (const [name, { content }] of Object.entries(wholeRepo)) {
    if (name === "pytorch_model.bin") continue;
    expect(content.equals(await readFile(join(path, name))), name).toBe(true);
  }
};

describe("the cache", () => {
  test("is laid out as Python's: blobs by digest, relative links, refs, absent files", async () => {
    const { path, files, bytes, commit: pulled } = await pull();
    expect({ path, files, bytes, pulled }).toEqual({
      path: at("snapshots", commit),
      files: 6,
      bytes: totalBytes,
      pulled: commit,
    });
    await expectWhole(path);
    expect(await readlink(join(path, shard))).toBe(`../../blobs/${hub.digestOf(shard)}`);
    expect(await readFile(at("refs", "main"), "utf8")).toBe(commit);
    expect(await listAll(".no_exist", commit)).toContain("generation_config.json");
    expect(await listAll("blobs")).toHaveLength(6);
    expect(hub.downloads("pytorch_model.bin")).toEqual([]);
    expect(await readdir(join(cacheFolder, ".locks", "models--Org--tiny-blip2"))).toEqual([]);
  });
  test("a second pull asks for the branch alone, a commit for nothing", async () => {
    await pull();
    hub.seen.length = 0;
    await pull();
    expect(hub.seen.map(({ method, path }) => [method, path])).toEqual([
      ["HEAD", `/${repo}/resolve/main/config.json`],
    ]);
    hub.seen.length = 0;
    await pull({ name: { repo, revision: commit } });
    expect(hub.seen).toEqual([]);
  });
  test("one that Python made serves offline, when the hub is away, and for a build", async () => {
    await mkdir(at("snapshots", commit), { recursive: true });
    await mkdir(at("blobs"));
    await mkdir(at("refs"));
    await writeFile(at("refs", "main"), commit);
    for (const [name, { content }] of Object.entries(wholeRepo)) {
      await writeFile(at("blobs", hub.digestOf(name)), content);
      await symlink(`../../blobs/${hub.digestOf(name)}`, at("snapshots", commit, name));
    }
    const offline = await pull({ settings: { offline: true } });
    expect(offline.path).toBe(at("snapshots", commit));
    const away = await pull({ settings: { endpoint: "http://127.0.0.1:1" } });
    expect(away).toEqual(offline);
    expect(log.join()).toContain(`Taking what the cache has of ${repo}@main`);
    expect(hub.seen).toEqual([]);
    const env = { HF_HUB_CACHE: cacheFolder };
    expect(await resolveCheckpoint(repo, env, "/nowhere")).toBe(offline.path);
    expect(await resolveCheckpoint(`${repo}@${commit}`, env, "/nowhere")).toBe(offline.path);
    await rm(at("snapshots", commit, shards[1]));
    const missing = await failure(resolveCheckpoint(repo, env, "/nowhere"));
    expect(missing).toMatchObject({ code: "usage" });
    expect(missing.detail).toContain(`blip2 pull ${repo}`);
    const half = await failure(pull({ settings: { offline: true } }));
    expect(half.detail).toContain("HF_HUB_OFFLINE");
    // Only what is missing is fetched.
    await expectWhole((await pull()).path);
    expect(hub.seen.filter(({ method }) => method === "GET")).toEqual([]);
  });
  test("a blob of the wrong size is fetched again", async () => {
    await pull();
    await rm(at("snapshots", commit, shard));
    await writeFile(at("blobs", hub.digestOf(shard)), "cut");
    await expectWhole((await pull()).path);
  });
  test("a pull request's ref is a folder deeper", async () => {
    await pull({ name: { repo, revision: "refs/pr/1" } });
    expect(await readFile(at("refs", "refs", "pr", "1"), "utf8")).toBe(commit);
    expect(hub.seen[0]?.path).toBe(`/${repo}/resolve/refs%2Fpr%2F1/config.json`);
  });
});

describe("a connection that fails", () => {
  const ranges = () => hub.downloads(shard).filter(({ server }) => server === "cdn");
  test("is resumed from where it was", async () => {
    hub.fail(shard, { kind: "drop", afterBytes: 70_000 }, { kind: "drop", afterBytes: 50_000 });
    await expectWhole((await pull()).path);
    const asked = ranges().map(({ range }) => range);
    expect(asked).toHaveLength(3);
    expect(asked[0]).toBeUndefined();
    for (const range of asked.slice(1)) expect(range).toMatch(/^bytes=\d+-$/);
    expect(waits).toEqual([250, 500]);
  });
  test("a server that ignores Range starts over cleanly", async () => {
    hub.fail(shard, { kind: "drop", afterBytes: 70_000 }, { kind: "ignore_range" });
    await expectWhole((await pull()).path);
    expect(ranges()).toHaveLength(2);
  });
  test("a wrong Content-Range starts over without Range", async () => {
    hub.fail(shard, { kind: "drop", afterBytes: 70_000 }, { kind: "wrong_range" });
    await expectWhole((await pull()).path);
    expect(ranges().map(({ range }) => range !== undefined)).toEqual([false, true, false]);
    expect(log.join()).toContain("another part of the file");
  });
  test("a stalled transfer times out and goes on", async () => {
    hub.fail(shard, { kind: "stall", afterBytes: 70_000 });
    await expectWhole((await pull({ settings: { stallTimeoutMs: 150 } })).path);
    expect(ranges()).not.toHaveLength(1);
    expect(log.join()).toContain("nothing arrived for 0.15 s");
  });
  test("a Content-Length shorter than the file is noticed", async () => {
    hub.fail(shard, { kind: "short", bytes: 1000 });
    await expectWhole((await pull()).path);
    expect(ranges().map(({ range }) => range)).toEqual([undefined, "bytes=1000-"]);
  });
  test("is given up after five attempts; what arrived is kept and the next pull resumes", async () => {
    const drop = { kind: "drop", afterBytes: 10_000 } as const;
    hub.fail(shard, drop, drop, drop, drop, drop);
    const error = await failure(pull());
    expect(error).toMatchObject({ code: "hub_unavailable" });
    expect(error.detail).toMatch(/model-00001.*what has arrived is kept/);
    const { size } = await stat(partialOf(shard));
    expect(size).toBeGreaterThan(0);
    await expect(stat(at("refs", "main"))).rejects.toThrow(/ENOENT/);
    hub.seen.length = 0;
    await expectWhole((await pull()).path);
    expect(ranges().map(({ range }) => range)).toEqual([`bytes=${size}-`]);
    await expect(stat(partialOf(shard))).rejects.toThrow(/ENOENT/);
  });
  test("429 with Retry-After is waited for, a long one is reported", async () => {
    const busy = (seconds: string) =>
      ({ kind: "status", status: 429, headers: { "retry-after": seconds } }) as const;
    hub.fail(shard, busy("7"));
    await expectWhole((await pull()).path);
    expect(waits).toEqual([7000]);
    await rm(at("snapshots"), { recursive: true });
    await rm(at("blobs"), { recursive: true });
    hub.fail(shard, busy("900"));
    const error = await failure(pull());
    expect(error).toMatchObject({ code: "hub_unavailable", retryAfterS: 900 });
    expect(error.detail).toContain("try again in 900 s");
  });
});

describe("wrong content", () => {
  test.each([{ kind: "wrong_byte" }, { kind: "long" }] as const)(
    "$kind once: fetched anew, twice: refused by name and nothing kept",
    async (fault) => {
      hub.fail(shard, fault);
      await expectWhole((await pull()).path);
      await rm(at("snapshots"), { recursive: true });
      await rm(at("blobs"), { recursive: true });
      hub.fail(shard, fault, fault);
      const error = await failure(pull());
      expect(error).toMatchObject({ code: "hub_mismatch" });
      expect(error.detail).toContain(shard);
      expect(error.detail).toContain(hub.digestOf(shard));
      expect(await listAll("blobs")).not.toContain(`${hub.digestOf(shard)}.blip2.incomplete`);
      expect(await listAll("snapshots", commit)).not.toContain(shard);
    },
  );
  test("a partial file with a wrong byte is found out by its digest", async () => {
    await mkdir(at("blobs"), { recursive: true });
    await writeFile(partialOf(shard), Buffer.alloc(5000));
    await expectWhole((await pull()).path);
    expect(log.join()).toContain("another digest");
  });
  test("a git file with a wrong byte, by its blob SHA-1", async () => {
    hub.fail("config.json", { kind: "wrong_byte" }, { kind: "wrong_byte" });
    expect((await failure(pull())).detail).toContain("git-sha1");
  });
  test("a hub that announces more than it has does not loop", async () => {
    // Large enough for every attempt from the start to look like progress.
    await replaceHub({ ...wholeRepo, [shard]: large(1_500_000, "longer") });
    hub.headAnswers.set(shard, {
      status: 302,
      headers: {
        location: `${hub.cdnUrl}/${shard}`,
        "x-repo-commit": commit,
        "x-linked-etag": hub.digestOf(shard),
        "x-linked-size": "1500001",
      },
    });
    expect(await failure(pull())).toMatchObject({ code: "hub_unavailable" });
  });
});

describe("trust", () => {
  test("the token goes to the hub and never to another host", async () => {
    await pull();
    const tokens = (server: string) =>
      new Set(hub.seen.filter((one) => one.server === server).map((one) => one.authorization));
    expect(tokens("hub")).toEqual(new Set(["Bearer hf_secret"]));
    expect(tokens("cdn")).toEqual(new Set([undefined]));
  });
  test("nor when the other host redirects back", async () => {
    hub.fail(shard, { kind: "redirect", location: `${hub.url}/${repo}/resolve/main/config.json` });
    await failure(pull({ signal: AbortSignal.timeout(3000) })).catch(() => undefined);
    const back = hub.seen.filter(
      ({ method, path, authorization }) =>
        method === "GET" && path.endsWith("main/config.json") && authorization === undefined,
    );
    expect(back.length).toBeGreaterThan(0);
  });
  test.each([
    "../../evil.safetensors",
    "/etc/x.safetensors",
    "a/b.safetensors",
    "evil.bin",
    "..\\x.safetensors",
  ])("an index that names %s is refused", async (name) => {
    await replaceHub({
      ...wholeRepo,
      "model.safetensors.index.json": small({ weight_map: { a: name } }),
    });
    const error = await failure(pull());
    expect(error).toMatchObject({ code: "checkpoint_invalid" });
    expect(error.detail).toContain(JSON.stringify(name));
  });
  test.each([
    ["x-linked-etag", "../../../evil"],
    ["x-repo-commit", "../../../../evil"],
  ])("%s: %s does not become a path", async (header, value) => {
    hub.headAnswers.set("config.json", {
      status: 200,
      headers: {
        "x-repo-commit": commit,
        "x-linked-etag": "a".repeat(40),
        "x-linked-size": "3",
        [header]: value,
      },
    });
    expect(await failure(pull())).toMatchObject({ code: "hub_mismatch" });
    expect(await readdir(cacheFolder)).toEqual([]);
  });
});

describe("answers are explained", () => {
  const answer = (status: number, headers: Record<string, string> = {}) =>
    hub.headAnswers.set("config.json", { status, headers });
  test.each([
    [403, "GatedRepo", undefined, "accept its terms at URL/Org/tiny-blip2, then set HF_TOKEN"],
    [403, "GatedRepo", "hf_x", "HF_TOKEN's account has no access yet"],
    [401, "", "hf_x", "does not accept the token"],
    [401, "RepoNotFound", undefined, "or it is private: then set HF_TOKEN"],
    [403, "", "hf_x", "The token may not read"],
    [404, "RevisionNotFound", undefined, 'has no revision "main"'],
    [404, "", undefined, "There is no Org/tiny-blip2 at URL"],
    [418, "", undefined, "answered 418"],
  ])("%i %s, token %s", async (status, code, token, words) => {
    // \x9b begins a terminal's control sequence, and a header may carry it.
    answer(status, { "x-error-code": code, "x-error-message": "see\x9b2J here" });
    const error = await failure(pull({ settings: { token } }));
    expect(error).toMatchObject({ code: "hub_refused" });
    expect(error.detail).toContain(words.replace("URL", hub.url));
    expect(error.detail).toContain("The hub says: see 2J here");
    expect(error.detail).not.toContain("hf_x");
    expect(await readdir(cacheFolder)).toEqual([]);
  });
  test("503 five times", async () => {
    answer(503);
    expect(await failure(pull())).toMatchObject({ code: "hub_unavailable" });
    expect(waits).toHaveLength(4);
  });
  test("a hub without the hub's headers", async () => {
    answer(200, {});
    expect((await failure(pull())).detail).toContain("Check HF_ENDPOINT");
  });
  test("a repository with pickled weights only, or with none", async () => {
    const { [shards[0]]: _one, "model.safetensors.index.json": _index, ...pickled } = wholeRepo;
    await replaceHub(pickled);
    const error = await failure(pull());
    expect(error).toMatchObject({ code: "checkpoint_invalid" });
    expect(error.detail).toContain("pickled weights (pytorch_model*.bin) only");
    const { "pytorch_model.bin": _pickle, ...empty } = pickled;
    await replaceHub(empty);
    await rm(at(), { recursive: true });
    expect((await failure(pull())).detail).toContain("holds neither model.safetensors nor");
  });
  test("a disk without room, with the numbers, before the weights", async () => {
    const error = await failure(pull({ freeBytes: () => Promise.resolve(100_000) }));
    expect(error).toMatchObject({ code: "usage" });
    expect(error.detail).toMatch(/needs 0\.2 MB more and .* has 0\.1 MB free/);
    expect(hub.downloads(shard)).toEqual([]);
  });
});

describe("two at once, and one that is interrupted", () => {
  test("a second pull waits and then finds everything", async () => {
    const results = await Promise.all([pull(), pull(), pull()]);
    for (const { path } of results) await expectWhole(path);
    expect(hub.downloads(shard).filter(({ server }) => server === "cdn")).toHaveLength(1);
    expect(log.join()).toContain("Another download");
  });
  test("the lock of a process that died is taken over", async () => {
    const folder = join(cacheFolder, ".locks", "models--Org--tiny-blip2");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "blip2.lock"), "dead");
    const old = new Date(Date.now() - 120_000);
    await utimes(join(folder, "blip2.lock"), old, old);
    await expectWhole((await pull()).path);
    expect(await readdir(folder)).toEqual([]);
  });
  test("Ctrl-C leaves what can be resumed, no lock and no ref", async () => {
    hub.fail(shard, { kind: "stall", afterBytes: 70_000 });
    const interrupt = new AbortController();
    const done: number[] = [];
    const pulling = pull({
      signal: interrupt.signal,
      onProgress: (bytes, total, file) => {
        done.push(bytes);
        expect(bytes).toBeLessThanOrEqual(total);
        if (file === shard && bytes > 70_000) interrupt.abort(new AppError("canceled", "Stop."));
      },
    });
    expect(await failure(pulling)).toMatchObject({ code: "canceled" });
    const { size } = await stat(partialOf(shard));
    expect(size).toBeGreaterThan(50_000);
    expect(await readdir(join(cacheFolder, ".locks", "models--Org--tiny-blip2"))).toEqual([]);
    expect((await listAll()).sort()).not.toContain("refs");
    // Interrupted again before a new byte came: what was there still is.
    const again = new AbortController();
    const second = pull({
      signal: again.signal,
      onProgress: () => again.abort(new AppError("canceled", "Stop.")),
    });
    expect(await failure(second)).toMatchObject({ code: "canceled" });
    expect((await stat(partialOf(shard))).size).toBe(size);
    hub.seen.length = 0;
    await expectWhole((await pull()).path);
    expect(hub.downloads(shard).map(({ range }) => range)).toContain(`bytes=${size}-`);
  });
});
