// Why a delivery stands as it does: a word for programs and a sentence for the editor who sees the picture. What
// the CMS or our own house refused brings its own sentence (cms-fault.ts, shared/src/problem.ts).
import { AppError, problemTitle } from "@blip2-edge/shared/problem";
import { CmsFault, cmsFaultText } from "./cms-fault.ts";

export const reasons = {
  // Nothing to do
  mode_off: "The connection is switched off.",
  unknown_event: "This kind of event needs no words.",
  not_understood: "The webhook has not the form that this kind of CMS sends.",
  not_an_image: "The file is no picture.",
  type_not_wanted: "The connection leaves files of this type alone.",
  decorative: "The picture is decorative by its file name, so its alt text stays empty.",
  has_words: "Its fields hold words that are not ours. They are left as they are.",
  own_words: "Its fields hold what we wrote before.",
  asset_gone: "The CMS has no such file any more.",
  superseded: "A newer version of the file was delivered and has its own entry.",
  // Not written at once
  edited: "Somebody has edited the words that wait for review.",
  mode_suggest: "The connection only suggests.",
  below_log_prob: "The model was less sure of its words than the connection asks for.",
  below_itm: "The words match the picture less than the connection asks for.",
  itm_unknown: "No model can say how well the words match the picture.",
  // Written, and yet
  not_published:
    "The words are saved in the CMS and go out when the asset is published next: it had other changes that were not published, or the CMS did not let us publish it.",
  // Not done
  file_broken: "The file cannot be read as a picture.",
  file_too_large: "The file is too large.",
  login_page: "The CMS gave a web page instead of the file, as it does to who is not logged in.",
  nothing_to_say: "The model had no words that could be used.",
  // Not gone on with
  paused_by_person: "Somebody has paused it. It goes on when it is resumed.",
  cancelled_by_person: "Somebody has ended it.",
  not_listed_whole: "This kind of CMS is not asked for pictures that have alt text.",
  key_ended:
    "The key that this connection works for was revoked, has expired or may not do it any more.",
} as const;
export type Reason = keyof typeof reasons;
export const isReason = (word: string | null): word is Reason =>
  word !== null && Object.hasOwn(reasons, word);

/** What is written beside a delivery. */
export interface Explained {
  readonly reason: string;
  readonly detail: string;
}

export const because = (reason: Reason): Explained => ({ reason, detail: reasons[reason] });

/** The sentence of a word that was kept without one. */
export const tellReason = (reason: string): string =>
  (Object.hasOwn(reasons, reason) ? reasons[reason as Reason] : undefined) ??
  cmsFaultText(reason) ??
  `${problemTitle(reason) ?? reason}.`;

/** A failure that is about this file and stays so. */
export class Hopeless extends Error {
  readonly explained: Explained;
  constructor(reason: Reason, cause?: unknown) {
    super(reasons[reason], cause === undefined ? undefined : { cause });
    this.name = "Hopeless";
    this.explained = because(reason);
  }
}

export function explain(error: unknown): Explained {
  if (error instanceof Hopeless) return error.explained;
  if (error instanceof CmsFault) return { reason: error.code, detail: error.message };
  if (error instanceof AppError) return { reason: error.code, detail: error.detail };
  return { reason: "internal", detail: "Something went wrong inside." };
}
