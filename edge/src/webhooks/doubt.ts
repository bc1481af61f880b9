// Whether a text is too doubtful to be written without a person. Pure. A log-probability means something for one model
// only, so there is a cut on it where one was measured (docs/decisions/0192).
import {
  measuredMinLogProbs,
  type ConnectionOptions,
} from "@blip2-edge/shared/contracts/connections";
import type { Reason } from "./reasons.ts";

export interface Scored {
  /** With or without its precision. */
  readonly model: string;
  readonly log_prob: number;
}

/** `itm`: null where no model could say. Undefined: there is no doubt. */
export function doubtOf(
  { model, log_prob: logProb }: Scored,
  itm: number | null,
  { min_log_prob: asked, min_itm: minItm }: Pick<ConnectionOptions, "min_log_prob" | "min_itm">,
): Reason | undefined {
  const [name = ""] = model.split("@");
  const measured = new Map(Object.entries(measuredMinLogProbs)).get(name) ?? null;
  const minLogProb = asked === undefined ? measured : asked;
  if (minLogProb !== null && logProb < minLogProb) return "below_log_prob";
  if (minItm === null) return undefined;
  if (itm === null) return "itm_unknown";
  return itm < minItm ? "below_itm" : undefined;
}
