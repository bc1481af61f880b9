// Who hears the texts of an answer while they are written, in the order of the request's texts.
import type { CacheOutcome } from "../cache/answer-headers.ts";

export interface Listener {
  /** More of the text at `index`, and where the texts that are not in a cache come from. */
  readonly says: (index: number, text: string, outcome: CacheOutcome) => void;
}
