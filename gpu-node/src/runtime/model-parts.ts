// What load-model opens for a model of any family before the family takes over.
import type { TokenizerFiles } from "../tokenizers/tokenizer.ts";
import type { Session } from "./ort.ts";
import type { Sight } from "./sight.ts";

/** A graph of the artifact, by its name in the manifest. */
export type GraphOf = (part: string) => Session;

export interface ModelParts {
  readonly tokenizerFiles: TokenizerFiles;
  readonly sight: Sight;
  readonly graph: GraphOf;
  /** Releases everything that was opened. */
  readonly close: () => Promise<void>;
}
