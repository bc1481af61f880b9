// The names and precedence are those of Python's huggingface_hub.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readHubSettings } from "./settings.ts";

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "blip2-hub-home-"));
  await writeFile(join(home, "token"), "hf_file\n");
});
afterAll(() => rm(home, { recursive: true }));

test("defaults", async () => {
  expect(await readHubSettings({}, "/home/ann")).toEqual({
    endpoint: "https://huggingface.co",
    cacheFolder: "/home/ann/.cache/huggingface/hub",
    token: undefined,
    offline: false,
    headTimeoutMs: 10_000,
    stallTimeoutMs: 10_000,
  });
});

describe("where the cache is", () => {
  test.each([
    [{ XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x", HF_HOME: "/h" }, "/h/hub"],
    [{ HF_HOME: "~/h" }, "/home/ann/h/hub"],
    [{ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    [{ HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/c" }, "/c"],
    [{ HF_HUB_CACHE: "" }, "/home/ann/.cache/huggingface/hub"],
  ])("%j", async (env, folder) => {
    expect((await readHubSettings(env, "/home/ann")).cacheFolder).toBe(folder);
  });
});

describe("the token", () => {
  test.each([
    [{ HF_TOKEN: " hf_a\n", HUGGING_FACE_HUB_TOKEN: "hf_b" }, "hf_a"],
    [{ HUGGING_FACE_HUB_TOKEN: "hf_b" }, "hf_b"],
    [{}, "hf_file"],
    [{ HF_TOKEN: "" }, "hf_file"],
    [{ HF_TOKEN_PATH: "/nowhere" }, undefined],
    [{ HF_TOKEN: "hf_a", HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }, undefined],
  ])("%j", async (env, token) => {
    expect((await readHubSettings({ HF_HOME: home, ...env }, "/nowhere")).token).toBe(token);
  });
  test("that would begin another header is refused and not shown", async () => {
    const reading = readHubSettings({ HF_TOKEN: "hf_a\r\nhost: evil" }, home);
    await expect(reading).rejects.toMatchObject({ code: "usage" });
    await expect(reading).rejects.not.toThrow(/hf_a/);
  });
});

test.each(["1", "true", "YES", "on"])("offline: %s", async (value) => {
  expect((await readHubSettings({ HF_HUB_OFFLINE: value }, home)).offline).toBe(true);
  expect((await readHubSettings({ TRANSFORMERS_OFFLINE: value }, home)).offline).toBe(true);
});

test("endpoint and timeouts, and what will not do", async () => {
  const env = {
    HF_ENDPOINT: "http://hub.example/base//",
    HF_HUB_ETAG_TIMEOUT: "3",
    HF_HUB_DOWNLOAD_TIMEOUT: "0.5",
  };
  expect(await readHubSettings(env, home)).toMatchObject({
    endpoint: "http://hub.example/base",
    headTimeoutMs: 3000,
    stallTimeoutMs: 500,
  });
  for (const [name, value] of [
    ["HF_ENDPOINT", "ftp://hub"],
    ["HF_ENDPOINT", "hub"],
    ["HF_HUB_ETAG_TIMEOUT", "soon"],
    ["HF_HUB_DOWNLOAD_TIMEOUT", "0"],
  ] as const) {
    await expect(readHubSettings({ [name]: value }, home)).rejects.toThrow(name);
  }
});
