// Whether a picture's URL may be asked for on behalf of a key: the guard against SSRF, then the key's own list
// of hosts. Asked on every hop, and before an address that is remembered is used without a fetch.
import { AppError } from "@blip2-edge/shared/problem";
import { isFetchAllowed } from "./fetch-allow.ts";
import { checkUrl, type UrlPolicy } from "./url-guard.ts";
import { urlInLog } from "./url-in-log.ts";

export interface Admitted {
  /** As the guard read it: normalised, without a fragment. */
  readonly url: URL;
  readonly via: "internet" | "private";
}

/** `from`: the hops before this one. Throws url_refused. */
export type Admit = (text: string, allow: readonly string[], from?: readonly URL[]) => Admitted;

export const urlRefused = (internal: string): AppError =>
  new AppError(
    "url_refused",
    "This URL may not be fetched. Give a plain public http or https URL of a picture, or send the picture itself.",
    { internal },
  );

export const admission =
  (policy: UrlPolicy): Admit =>
  (text, allow, from = []) => {
    const verdict = checkUrl(text, policy, from.at(-1));
    const hop = `hop ${from.length}`;
    if (!verdict.ok) throw urlRefused(`${hop}: ${verdict.reason}: ${urlInLog(text)}`);
    if (!isFetchAllowed(verdict.url, allow)) {
      throw urlRefused(`${hop}: not_in_key_allow_list: ${urlInLog(text)}`);
    }
    return { url: verdict.url, via: verdict.via };
  };
