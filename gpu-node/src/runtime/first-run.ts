// The profile of a session's first run, which alone tells which operators the runtime ran where: written by
// the runtime to a folder of its own, read once and removed.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Placement, readPlacement } from "./placement.ts";
import { type ProviderName, runtimeNames } from "./providers.ts";

export interface FirstRun {
  /** For the session to be made with. */
  readonly settings: { readonly enableProfiling: true; readonly profileFilePrefix: string };
  /** Once the session has ended its profile. Removes it. */
  placement(): Promise<Placement>;
  /** In place of `placement`, once the session has let go of it. */
  discard(): Promise<void>;
}

export async function createFirstRun(provider: ProviderName): Promise<FirstRun> {
  const folder = await mkdtemp(join(tmpdir(), "blip2-profile-"));
  const discard = (): Promise<void> => rm(folder, { recursive: true, force: true });
  return {
    settings: { enableProfiling: true, profileFilePrefix: join(folder, "run") },
    async placement() {
      try {
        // The runtime puts the time into the name.
        const [file] = await readdir(folder);
        if (file === undefined) throw new Error("the runtime wrote no profile");
        const profile: unknown = JSON.parse(await readFile(join(folder, file), "utf8"));
        return readPlacement(profile, runtimeNames[provider]);
      } finally {
        await discard();
      }
    },
    discard,
  };
}
