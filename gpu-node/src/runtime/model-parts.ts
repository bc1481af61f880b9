// What load-model opens for a model of any family before the family takes over.
import type { TokenizerFiles } from "../tokenizers/tokenizer.ts";
import type { Session } from "./ort.ts";
import type { Sight } from "./sight.ts";

/** Opens a graph of the artifact. Errors: those of openSession, the signal's reason. */
export type OpenGraph = (part: string) => Promise<Session>;

export interface ModelParts {
  readonly tokenizerFiles: TokenizerFiles;
  readonly sight: Sight;
  readonly open: OpenGraph;
  /** Releases everything that was opened. */
  readonly close: () => Promise<void>;
}
