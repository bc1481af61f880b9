// Who hears the texts of an answer while they are written, in the order of the request's texts.
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { CacheOutcome } from "../cache/answer-headers.ts";

/** Where a text comes from. */
export interface Spoken {
  readonly model: CatalogModel;
  readonly outcome: CacheOutcome;
}

export interface Listener {
  /** More of the text at `index`. */
  readonly says: (index: number, text: string, by: Spoken) => void;
}
