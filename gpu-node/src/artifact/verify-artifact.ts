// Reads every file of an artifact and compares its digest with the manifest's.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { AppError } from "@blip2-edge/shared/problem";
import { type Artifact, openArtifact } from "./open-artifact.ts";

export interface VerifyOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes read since the last call. */
  readonly onBytes?: (bytes: number) => void;
}

/** SHA-256 of a file as 64 hex digits. */
async function digestFile(path: string, options: VerifyOptions = {}): Promise<string> {
  const hash = createHash("sha256");
  const { signal } = options;
  const stream = createReadStream(path, {
    highWaterMark: 1024 * 1024,
    ...(signal === undefined ? {} : { signal }),
  });
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    options.onBytes?.(chunk.length);
  }
  return hash.digest("hex");
}

/** `openArtifact`, then all digests. Errors: `artifact_invalid` naming every file that differs. */
export async function verifyArtifact(
  folder: string,
  options: VerifyOptions = {},
): Promise<Artifact> {
  const artifact = await openArtifact(folder);
  const changed: string[] = [];
  for (const [name, { sha256 }] of Object.entries(artifact.manifest.files)) {
    if ((await digestFile(artifact.path(name), options)) !== sha256) changed.push(name);
  }
  if (changed.length > 0) {
    throw new AppError(
      "artifact_invalid",
      `The artifact ${folder} is damaged: the content of ${changed.join(", ")} is not what was built. Build it again.`,
    );
  }
  return artifact;
}
