// Who hears the texts of an answer while they are written, in the order of the request's texts.
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";

export interface Listener {
  /** More of the text at `index`, and the model that writes it. */
  readonly says: (index: number, text: string, model: CatalogModel) => void;
}
