// A hub's refusal in the words of someone who wants to go on: what is wrong and what to do. Passing
// troubles (429, 5xx) become the retryable `hub_unavailable`, all others `hub_refused`.
import { AppError } from "@blip2-edge/shared/problem";

export interface Asked {
  readonly endpoint: string;
  readonly repo: string;
  readonly revision: string;
  readonly file: string;
  /** Whether the request carried a token. */
  readonly withToken: boolean;
}

/** Seconds to wait by a Retry-After header (RFC 9110 section 10.2.3: seconds or a date). */
export function readRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value);
  // Date.parse takes almost anything that ends in digits; a date of HTTP begins with a weekday.
  if (!/^[A-Z][a-z]{2}/.test(value)) return undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - nowMs) / 1000));
}

/** What the hub says in its own words, without what could steer a terminal. */
function hubWords(response: Response): string {
  const words = (response.headers.get("x-error-message") ?? "")
    .replace(/[^\x20-\x7e]/g, " ")
    .trim()
    .slice(0, 300);
  return words === "" ? "" : ` The hub says: ${words}`;
}

function refusal(status: number, code: string, asked: Asked): string {
  const { endpoint, repo, revision, file, withToken } = asked;
  const page = `${endpoint}/${repo}`;
  if (code === "GatedRepo") {
    return withToken
      ? `${repo} is gated and HF_TOKEN's account has no access yet: accept its terms at ${page}, with that account.`
      : `${repo} is gated: accept its terms at ${page}, then set HF_TOKEN to a token of that account.`;
  }
  if (code === "RevisionNotFound") {
    return `${repo} has no revision "${revision}"; its branches and tags are at ${page}/tree/main.`;
  }
  if (code === "EntryNotFound") return `${repo}@${revision} has no ${file}.`;
  if (code === "RepoNotFound" || status === 404) {
    return `There is no ${repo} at ${endpoint}${withToken ? ", or the token may not see it" : ", or it is private: then set HF_TOKEN"}.`;
  }
  if (status === 401) {
    return withToken
      ? `${endpoint} does not accept the token; make a new one and set HF_TOKEN.`
      : `There is no ${repo} at ${endpoint}, or it is private or gated: accept its terms at ${page} if it has any, then set HF_TOKEN.`;
  }
  if (status === 403) {
    return withToken
      ? `The token may not read ${repo}: accept its terms at ${page}, and let the token read gated repositories.`
      : `${repo} may not be read without a token: accept its terms at ${page}, then set HF_TOKEN.`;
  }
  return `${endpoint} answered ${status} when asked for ${file} of ${repo}@${revision}.`;
}

/** The error for an answer that is no success. */
export function explainAnswer(response: Response, asked: Asked, nowMs: number): AppError {
  const { status, headers } = response;
  if (status === 408 || status === 429 || status >= 500) {
    const seconds = readRetryAfter(headers.get("retry-after"), nowMs);
    const why = status === 429 ? "says that it was asked too often" : "has trouble";
    const when = seconds === undefined ? "later" : `in ${seconds} s`;
    return new AppError(
      "hub_unavailable",
      `${asked.endpoint} ${why} (${status} for ${asked.file}); try again ${when}.${hubWords(response)}`,
      seconds === undefined ? {} : { retryAfterS: seconds },
    );
  }
  const code = headers.get("x-error-code") ?? "";
  return new AppError("hub_refused", refusal(status, code, asked) + hubWords(response));
}
