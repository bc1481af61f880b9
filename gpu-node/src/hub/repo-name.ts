// REPO[@REVISION] as a user writes it. Both become parts of paths and URLs, so only what the hub itself
// allows passes: no climbing out of the cache, no second meaning in a URL.
import { AppError } from "@blip2-edge/shared/problem";

export interface RepoName {
  /** "Salesforce/blip2-opt-2.7b" */
  readonly repo: string;
  /** A branch, a tag or a commit. */
  readonly revision: string;
}

const part = String.raw`[A-Za-z0-9](?:[\w-]|\.(?!\.))*`;
const repoPattern = new RegExp(`^${part}(?:/${part})?$`);
const revisionPattern = /^\w[\w.-]*(?:\/\w[\w.-]*)*$/;
const maxRepoLength = 96;
const maxRevisionLength = 255;

export const isCommit = (revision: string): boolean => /^[0-9a-f]{40}$/.test(revision);

/** The name's parts, or undefined when the hub could not have such a name. */
export function parseRepoName(text: string): RepoName | undefined {
  const at = text.indexOf("@");
  const repo = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? "main" : text.slice(at + 1);
  const good =
    repoPattern.test(repo) &&
    repo.length <= maxRepoLength &&
    // The cache folder's name puts "--" for the slash.
    !repo.includes("--") &&
    revisionPattern.test(revision) &&
    revision.length <= maxRevisionLength &&
    !revision.includes("..");
  return good ? { repo, revision } : undefined;
}

/** Errors: `usage` that shows what a name looks like. */
export function requireRepoName(text: string): RepoName {
  const name = parseRepoName(text);
  if (name !== undefined) return name;
  throw new AppError(
    "usage",
    `${JSON.stringify(text)} is not a hub name; one looks like Salesforce/blip2-opt-2.7b, with @REVISION (a branch, a tag or a commit) behind it if wanted.`,
  );
}
