// `blip2 pull REPO[@REVISION] [--json]`
import { homedir } from "node:os";
import { formatBytes } from "../build/progress.ts";
import { pullModel } from "../hub/pull-model.ts";
import { requireRepoName } from "../hub/repo-name.ts";
import { readHubSettings } from "../hub/settings.ts";
import type { CliIo } from "./io.ts";
import { parseFlags, usageError } from "./parse-flags.ts";
import { createTransferProgress } from "./transfer-progress.ts";

export const pullUsage = "blip2 pull REPO[@REVISION] [--json]";

export const pullHelp = `Downloads a checkpoint into the cache that Python's huggingface_hub uses too; what is there is not
fetched again, what was interrupted is resumed, everything is checked against the hub's digests.

  HF_TOKEN                 token for gated and private repositories (else the file HF_HOME/token)
  HF_HOME, HF_HUB_CACHE    where the cache is
  HF_ENDPOINT              another hub than https://huggingface.co
  HF_HUB_OFFLINE=1         take it from the cache or fail
  HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT
                           seconds to wait for an answer, and for a byte of a download (10)
  HF_HUB_DISABLE_IMPLICIT_TOKEN=1
                           send no token`;

/** Exit status: 0 when the checkpoint is in the cache. Errors: AppError, for the entry to print. */
export async function pull(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    { json: { type: "boolean", default: false } },
    pullUsage,
  );
  const [text, ...more] = positionals;
  if (text === undefined || more.length > 0) {
    throw usageError("Give one repository of the hub", pullUsage);
  }
  const name = requireRepoName(text);
  const settings = await readHubSettings(io.env ?? {}, homedir());
  const progress = createTransferProgress(io.stderr, io.terminal);
  try {
    const { commit, path, files, bytes } = await pullModel({
      name,
      settings,
      signal: io.signal,
      log: progress.log,
      onProgress: progress.update,
    });
    progress.end();
    if (values.json) io.stdout(JSON.stringify({ ...name, commit, path, files, bytes }));
    else {
      io.stderr(
        `${name.repo}@${name.revision} is ${commit}: ${files} files, ${formatBytes(bytes)}`,
      );
      io.stdout(path);
    }
    return 0;
  } finally {
    progress.end();
  }
}
