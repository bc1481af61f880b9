// The way to Cloudinary's two APIs, with Basic authentication for both: the Admin API, whose calls an hour are counted,
// and the commands of the Upload API, which answer with what they were applied to. The token is `API_KEY:API_SECRET`.
import { z } from "zod";
import type { Ask, Asset, Cms, Told, Written } from "../adapter.ts";
import { basicAuthorised } from "../basic.ts";
import { CmsFault, unexpected } from "../cms-fault.ts";

const commandSchema = z.object({
  public_ids: z.array(z.string()),
  unauthorized: z.array(z.string()).optional(),
});

const longestWaitS = 3600;

/** Throws CmsFault, also for the status that Cloudinary has of its own: the hour's calls are used up. */
export async function ask(cms: Cms, what: Omit<Ask, "headers">): Promise<Told> {
  const told = await cms.ask({ ...what, headers: basicAuthorised(cms) });
  if (told.status !== 420) return told;
  const resetMs = Date.parse(told.headers.get("x-featureratelimit-reset") ?? "");
  const waitS = Number.isNaN(resetMs) ? 0 : Math.ceil((resetMs - Date.now()) / 1000);
  const retryAfterS = Math.min(longestWaitS, Math.max(1, waitS));
  throw new CmsFault("cms_busy", { internal: "status 420", retryAfterS });
}

/** Throws CmsFault. */
export async function command(
  cms: Cms,
  { writeName = "" }: Asset,
  what: "context" | "tags",
  fields: Readonly<Record<string, string>>,
): Promise<Written> {
  const [, type = "", publicId = ""] = /^([^/]*)\/(.*)$/s.exec(writeName) ?? [];
  const form = new FormData();
  for (const [name, value] of Object.entries({ "public_ids[]": publicId, type, ...fields })) {
    form.set(name, value);
  }
  const told = await ask(cms, { method: "POST", path: `/image/${what}`, form });
  const parsed = commandSchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected(what, told);
  // What it was applied to: ids that are unknown are passed over without a word.
  if (parsed.data.public_ids.includes(publicId)) return "written";
  if (parsed.data.unauthorized?.includes(publicId) !== true) return "gone";
  throw new CmsFault("token_refused", { internal: `${what}: unauthorized` });
}
