import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AppError } from "@blip2-edge/shared/problem";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writeTinyCheckpoint } from "../../../test/support/tiny-checkpoint.ts";
import { buildArtifact } from "../build/build-artifact.ts";
import { openArtifact } from "./open-artifact.ts";
import { verifyArtifact } from "./verify-artifact.ts";

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "artifact-"));
  folder = join(root, "tiny");
  await writeTinyCheckpoint(join(root, "checkpoint"));
  const { signal } = new AbortController();
  const checkpoint = join(root, "checkpoint");
  await buildArtifact({ checkpoint, out: folder, signal, log: () => undefined });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const editManifest = async (edit: (manifest: Record<string, unknown>) => void) => {
  const path = join(folder, "manifest.json");
  const manifest = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  edit(manifest);
  await writeFile(path, JSON.stringify(manifest));
};
const refusal = async (message: RegExp) => {
  const error: unknown = await openArtifact(folder).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({ code: "artifact_invalid", detail: expect.stringMatching(message) });
};

describe("openArtifact", () => {
  test("gives the manifest and paths of the files that it names", async () => {
    const artifact = await openArtifact(folder);
    expect(artifact.path("vision.onnx")).toBe(join(folder, "vision.onnx"));
    expect(() => artifact.path("../secret")).toThrow(/not in the manifest/);
  });

  test("refuses a folder without a manifest, saying how to make one", async () => {
    await rm(join(folder, "manifest.json"));
    await refusal(/has no manifest\.json\. Make one with: blip2 build/);
  });

  test("refuses what is not JSON, another format, faulty fields", async () => {
    await editManifest((manifest) => (manifest["decoder"] = { layers: 2 }));
    await refusal(/decoder\.heads: .*Build the artifact again/);
    await editManifest((manifest) => (manifest["format"] = 99));
    await refusal(/artifact format 99; this version reads 3/);
    await writeFile(join(folder, "manifest.json"), "{");
    await refusal(/not JSON/);
  });

  test("refuses a file outside of the folder, or one it does not list", async () => {
    const entry = { sha256: "0".repeat(64), bytes: 1 };
    await editManifest((manifest) => Object.assign(manifest["files"] as object, { "../x": entry }));
    await refusal(/"\.\.\/x", not a plain file name/);
    await editManifest((manifest) => {
      delete (manifest["files"] as Record<string, unknown>)["../x"];
      manifest["graphs"] = {
        vision: { file: "/etc/passwd" },
        qformer: { file: "qformer.onnx" },
        decoder: { file: "decoder.onnx" },
      };
    });
    await refusal(/uses "\/etc\/passwd" but does not list it/);
  });

  test("names every file that is missing or of another size", async () => {
    await rm(join(folder, "vision.onnx"));
    await truncate(join(folder, "decoder.data"), 100);
    await refusal(/decoder\.data is 100 bytes and not \d+.*Build it again/);
    await refusal(/vision\.onnx is missing/);
  });
});

describe("verifyArtifact", () => {
  test("passes what was built and counts its bytes", async () => {
    let bytes = 0;
    const { manifest } = await verifyArtifact(folder, { onBytes: (count) => (bytes += count) });
    const total = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
    expect(bytes).toBe(total);
  });

  test("one changed bit is found, by the file's name", async () => {
    const path = join(folder, "qformer.data");
    const data = await readFile(path);
    data[1000] = (data[1000] ?? 0) ^ 1;
    await writeFile(path, data);
    await openArtifact(folder);
    await expect(verifyArtifact(folder)).rejects.toThrow(/content of qformer\.data is not what/);
  });

  test("stops when it is aborted", async () => {
    const signal = AbortSignal.abort();
    await expect(verifyArtifact(folder, { signal })).rejects.toThrow(/abort/i);
  });
});
