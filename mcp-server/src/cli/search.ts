// `blip2-edge search TEXT... [--image IMAGE]`: finds pictures of a namespace by words, by a picture or by both.
import type { SearchHit } from "@blip2-edge/shared/contracts/search";
import { searchOptionsSchema } from "@blip2-edge/shared/contracts/search";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { clientOf, commonHelp, countOf, orUsage, parseFlags, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";
import { pictureHelp, pictureOf } from "./picture.ts";

const searchUsage =
  "blip2-edge search [TEXT...] [--image IMAGE] [--namespace NAME] [--top N] [...]";
export const searchHelp = `${searchUsage}

${pictureHelp}
  TEXT          words that stand together as one text
  --namespace   default: default
  --top N       hits; default 10
  --tag TAG     only pictures with this tag; repeatable, all must be there
  --rerank N    judge the first N by image-text matching
  --hybrid      count words in titles, texts, tags and captions too
  --min-score X leave out what is below, 0 to 1; default: what the model's calibration says
With nothing found it says "no match" on standard error.
${commonHelp}`;

/** Exit status: 0 when the search was made, whatever it found. Errors: AppError, for the entry to print. */
export async function search(args: readonly string[], io: CliIo): Promise<number> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseFlags(
    args,
    {
      ...{ image: text, namespace: text, top: text, rerank: text, "min-score": text },
      tag: { type: "string", multiple: true },
      hybrid: { type: "boolean" },
    },
    searchUsage,
  );
  if (positionals.length === 0 && values.image === undefined) {
    throw usageError("Give a text, a picture with --image, or both", searchUsage);
  }
  const minScore = values["min-score"];
  const options = orUsage(searchUsage, () =>
    parseOrRefuse(searchOptionsSchema, {
      namespace: values.namespace,
      text: positionals.length === 0 ? undefined : positionals.join(" "),
      top_k: countOf("--top", values.top, searchUsage),
      rerank: countOf("--rerank", values.rerank, searchUsage),
      hybrid: values.hybrid,
      min_score: minScore === undefined ? undefined : Number(minScore),
      filter: values.tag === undefined ? undefined : { tags: { all: values.tag } },
    }),
  );
  const image = values.image === undefined ? undefined : await pictureOf(values.image);
  const client = clientOf(values, io, searchUsage);
  const found = await client.search({ ...options, image }, { signal: io.signal });
  for (const hit of found.hits) io.stdout(values.json ? JSON.stringify(hit) : lineOf(hit));
  if (found.no_match) io.stderr("no match");
  return 0;
}

const lineOf = ({ id, score, title, caption }: SearchHit): string =>
  `${score.toFixed(3)}  ${id}  ${title ?? caption ?? ""}`;
