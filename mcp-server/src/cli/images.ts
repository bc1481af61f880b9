// `blip2-edge images list | show | delete`: the records of a namespace over the typed client.
import type { ImageRecord } from "@blip2-edge/shared/contracts/images";
import { AppError } from "@blip2-edge/shared/problem";
import { everyPage } from "./every-page.ts";
import { clientOf, commonHelp, parseFlags, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";
import { plain } from "./plain.ts";

const imagesUsage = "blip2-edge images list | show ID... | delete ID... [--namespace NAME]";
export const imagesHelp = `${imagesUsage}

  list         every record, by its id
  show         what records say
  delete       deletes records, and pictures with the last record that has them
  --namespace  default: default
${commonHelp}`;

/** Exit status: 0 when all that was asked is done. Errors: AppError, for the entry to print. */
export async function images(args: readonly string[], io: CliIo): Promise<number> {
  const [action = "", ...rest] = args;
  const { values, positionals: ids } = parseFlags(
    rest,
    { namespace: { type: "string" } },
    imagesUsage,
  );
  const { namespace = "default", json } = values;
  const signal = { signal: io.signal };
  const client = clientOf(values, io, imagesUsage);
  const tell = (record: ImageRecord): void =>
    io.stdout(json ? JSON.stringify(record) : lineOf(record));

  if (action === "list") {
    if (ids.length > 0) throw usageError("list takes no ids", imagesUsage);
    const read = (cursor?: string) => client.imageList({ namespace, limit: 200, cursor }, signal);
    for await (const page of everyPage(read)) page.images.forEach(tell);
    return 0;
  }
  if (action !== "show" && action !== "delete") {
    throw usageError(`There is no "images ${action}"`, imagesUsage);
  }
  if (ids.length === 0) throw usageError("Give at least one id", imagesUsage);
  let failed = 0;
  for (const id of ids) {
    try {
      if (action === "show") tell(await client.imageRead({ namespace, id }, signal));
      else {
        const gone = await client.imageDelete({ namespace, id }, signal);
        io.stdout(json ? JSON.stringify(gone) : `deleted ${id}`);
      }
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "not_found") throw error;
      failed += 1;
      io.stderr(error.detail);
    }
  }
  return failed === 0 ? 0 : 1;
}

const lineOf = ({ id, title, caption, tags }: ImageRecord): string =>
  plain([id, title ?? caption ?? "", tags.map((tag) => `#${tag}`).join(" ")].join("  "));
