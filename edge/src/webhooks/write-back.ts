// Writes words into a CMS, after one more look at what is there: a field that somebody filled meanwhile keeps its
// words, a file that was replaced meanwhile gets none of these, and what stands there already is not written again.
import type { Asset, Words } from "./adapter.ts";
import { CmsFault } from "./cms-fault.ts";
import type { Connected } from "./connected.ts";
import { hasWords, missing, writable, type WriteRule } from "./may-write.ts";

export type WriteOutcome =
  /** `words`: what the fields hold of ours now. `isSaved`: they wait to be published. */
  | { readonly kind: "written"; readonly words: Words; readonly isSaved?: boolean }
  | { readonly kind: "kept"; readonly asset: Asset }
  | { readonly kind: "gone" }
  | { readonly kind: "replaced"; readonly version: string };

export interface Write extends WriteRule {
  readonly assetId: string;
  /** Of the bytes that the words are about. */
  readonly version: string;
  readonly words: Words;
}

/** How often others may be quicker. */
const maxConflicts = 3;

/** Throws CmsFault. */
export async function writeBack(
  { adapter, cms }: Pick<Connected, "adapter" | "cms">,
  { assetId, version, words, ...rule }: Write,
): Promise<WriteOutcome> {
  for (let conflicts = 0; conflicts < maxConflicts; conflicts++) {
    const asset = await adapter.read(cms, assetId);
    if (asset === undefined) return { kind: "gone" };
    if (asset.version !== version) return { kind: "replaced", version: asset.version };
    const allowed = writable(words, asset.words, rule);
    if (!hasWords(allowed)) return { kind: "kept", asset };
    const toWrite = missing(allowed, asset.words);
    if (!hasWords(toWrite)) return { kind: "written", words: allowed };
    const written = await adapter.write(cms, asset, toWrite);
    if (written === "gone") return { kind: "gone" };
    if (written !== "conflict") {
      return { kind: "written", words: allowed, isSaved: written === "saved" };
    }
  }
  throw new CmsFault("cms_busy", { internal: "the asset changes faster than it can be written" });
}
