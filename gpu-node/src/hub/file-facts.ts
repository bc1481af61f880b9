// What the hub says of a file before it is fetched: the commit it belongs to, its size and its digest,
// by a HEAD of its `resolve` address. Large files redirect to other hosts; their facts are in the
// first answer, so the walk ends there.
import { AppError } from "@blip2-edge/shared/problem";
import { watchForStall, withRetries } from "./backoff.ts";
import { type ContentDigest, parseEtag } from "./content-digest.ts";
import { explainAnswer } from "./explain-answer.ts";
import { type HubTools, hubRequest } from "./hub-request.ts";
import { isCommit } from "./repo-name.ts";
import type { HubSettings } from "./settings.ts";

/** What a request of the room needs to know. */
export interface HubAccess {
  readonly settings: HubSettings;
  readonly tools: HubTools;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

export interface FileFacts {
  readonly file: string;
  readonly commit: string;
  readonly sizeBytes: number;
  readonly digest: ContentDigest;
}

export const fileUrl = (endpoint: string, repo: string, revision: string, file: string): string =>
  `${endpoint}/${repo}/resolve/${encodeURIComponent(revision)}/${file}`;

function createCollector() {
  let commit: string | null = null;
  let linkedEtag: string | null = null;
  let linkedSize: string | null = null;
  return {
    /** The first answer that says something is the hub's; later ones are those of storage. */
    collect({ headers }: Response): boolean {
      commit ??= headers.get("x-repo-commit");
      linkedEtag ??= headers.get("x-linked-etag");
      linkedSize ??= headers.get("x-linked-size");
      return commit !== null && linkedEtag !== null && linkedSize !== null;
    },
    read({ headers }: Response) {
      const size = linkedSize ?? headers.get("content-length") ?? "";
      return {
        commit,
        digest: parseEtag(linkedEtag ?? headers.get("etag")),
        sizeBytes: /^\d{1,15}$/.test(size) ? Number(size) : undefined,
      };
    },
  };
}

/**
 * The facts of a file, or undefined when the revision has no such file.
 * Errors: `hub_refused`, `hub_unavailable`; `hub_mismatch` when the answer lacks a fact.
 */
export function askFileFacts(
  { settings, tools, signal }: HubAccess,
  repo: string,
  revision: string,
  file: string,
): Promise<FileFacts | undefined> {
  const { endpoint, token } = settings;
  return withRetries(`${endpoint} cannot be reached`, tools, signal, async () => {
    const { collect, read } = createCollector();
    const watch = watchForStall(signal, settings.headTimeoutMs);
    const request = {
      method: "HEAD",
      url: fileUrl(endpoint, repo, revision, file),
      token,
      onAnswer: collect,
      signal: watch.signal,
    } as const;
    const response = await hubRequest(request, tools).finally(watch.end);
    if (response.status === 404 && response.headers.get("x-error-code") === "EntryNotFound") {
      return undefined;
    }
    if (response.status >= 400) {
      const asked = { endpoint, repo, revision, file, withToken: token !== undefined };
      throw explainAnswer(response, asked, tools.now());
    }
    const { commit, digest, sizeBytes } = read(response);
    // Digest and commit become names in the cache: nothing else than hexadecimal digits passes.
    if (commit === null || !isCommit(commit) || digest === undefined || sizeBytes === undefined) {
      throw new AppError(
        "hub_mismatch",
        `${endpoint} does not say commit, size and digest of ${file}, as a Hugging Face hub does. Check HF_ENDPOINT.`,
      );
    }
    return { file, commit, digest, sizeBytes };
  });
}
