// The two digests by which a hub names content: SHA-256 for large files (LFS), and git's blob SHA-1
// for those in git itself, which begins with the content's size.
import { createHash } from "node:crypto";

export interface ContentDigest {
  /** As the cache names its blob: 64 hexadecimal digits for SHA-256, 40 for git's SHA-1. */
  readonly hex: string;
  readonly algorithm: "sha256" | "git-sha1";
}

/** A digest out of an ETag (weak mark and quotes allowed), or undefined when it is neither kind. */
export function parseEtag(etag: string | null | undefined): ContentDigest | undefined {
  const hex = (etag ?? "").replace(/^W\//, "").replace(/^"(.*)"$/, "$1");
  if (/^[0-9a-f]{64}$/.test(hex)) return { hex, algorithm: "sha256" };
  if (/^[0-9a-f]{40}$/.test(hex)) return { hex, algorithm: "git-sha1" };
  return undefined;
}

export interface RunningDigest {
  update(bytes: Uint8Array): void;
  matches(): boolean;
}

export function startDigest(expected: ContentDigest, sizeBytes: number): RunningDigest {
  const hash = createHash(expected.algorithm === "sha256" ? "sha256" : "sha1");
  if (expected.algorithm === "git-sha1") hash.update(`blob ${sizeBytes}\0`);
  return {
    update: (bytes) => void hash.update(bytes),
    matches: () => hash.digest("hex") === expected.hex,
  };
}
