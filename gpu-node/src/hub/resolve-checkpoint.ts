// What a user names as a checkpoint, a folder or a hub name, as a folder. Never asks the network: a
// name that is not in the cache is answered with the command that puts it there.
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { AppError } from "@blip2-edge/shared/problem";
import { openCacheLayout } from "./cache-layout.ts";
import { parseRepoName } from "./repo-name.ts";
import { readHubSettings } from "./settings.ts";

/** Errors: `usage` for a hub name that the cache does not hold whole. */
export async function resolveCheckpoint(
  folderOrName: string,
  env: Readonly<Record<string, string | undefined>>,
  homeFolder = homedir(),
): Promise<string> {
  const isThere = await stat(folderOrName).then(
    () => true,
    () => false,
  );
  const name = parseRepoName(folderOrName);
  // A name without a slash is more likely a folder with a typing error.
  if (isThere || name === undefined || !name.repo.includes("/")) return folderOrName;
  const { cacheFolder } = await readHubSettings(env, homeFolder);
  const layout = openCacheLayout(cacheFolder, name.repo);
  const commit = await layout.commitOf(name.revision);
  const snapshot = commit === undefined ? undefined : await layout.findComplete(commit);
  if (snapshot !== undefined) return snapshot.path;
  throw new AppError(
    "usage",
    `There is no folder ${folderOrName}, and ${cacheFolder} holds no whole copy of a hub repository of that name. To download it: blip2 pull ${folderOrName}`,
  );
}
