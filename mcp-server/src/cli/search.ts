// `blip2-edge search TEXT... [--image IMAGE]`: finds pictures of a namespace by words, by a picture or by both.
import {
  searchOptionsSchema,
  type SearchHit,
  type SearchResponse,
} from "@blip2-edge/shared/contracts/search";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { clientOf, commonHelp, countOf, orUsage, parseFlags, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";
import { pictureHelp, pictureOf } from "./picture.ts";
import { plain } from "./plain.ts";

const searchUsage =
  "blip2-edge search [TEXT...] [--image IMAGE] [--namespace NAME] [--top N] [...]";
export const searchHelp = `${searchUsage}

${pictureHelp}
  TEXT          words that stand together as one text
  --namespace   default: default
  --top N       hits; default 10
  --cursor C    goes on behind the hits of the same search, as it says
  --tag TAG     only pictures with this tag; repeatable, all must be there
  --rerank N    judge the first N by image-text matching
  --hybrid      count words in titles, texts, tags and captions too
  --min-score X leave out what is below, 0 to 1; default: what the model's calibration says
A line is the score, the id, title and caption, and which record has the same picture. The score is the probability
that the hit answers, in %, where the model's scores are calibrated; else a similarity. With nothing found it says
"no match" on standard error.
${commonHelp}`;

/** Exit status: 0 when the search was made, whatever it found. Errors: AppError, for the entry to print. */
export async function search(args: readonly string[], io: CliIo): Promise<number> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseFlags(
    args,
    {
      ...{ image: text, namespace: text, top: text, rerank: text, "min-score": text, cursor: text },
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
      cursor: values.cursor,
      filter: values.tag === undefined ? undefined : { tags: { all: values.tag } },
    }),
  );
  const image = values.image === undefined ? undefined : await pictureOf(values.image);
  const client = clientOf(values, io, searchUsage);
  const found = await client.search({ ...options, image }, { signal: io.signal });
  for (const line of values.json ? found.hits.map((hit) => JSON.stringify(hit)) : linesOf(found)) {
    io.stdout(line);
  }
  if (found.no_match) io.stderr(noMatch(found));
  if (found.cursor !== undefined) io.stderr(`More with --cursor ${found.cursor}`);
  return 0;
}

type Scale = Pick<SearchResponse, "calibrated">;
const widestId = 48;

const scoreOf = (score: number, { calibrated }: Scale): string =>
  calibrated ? `${(100 * score).toFixed(1).padStart(5)} %` : score.toFixed(3);

function linesOf(found: SearchResponse): string[] {
  const width = Math.min(widestId, Math.max(0, ...found.hits.map(({ id }) => id.length)));
  return found.hits.map(({ id, score, ...hit }) =>
    [scoreOf(score, found), id.padEnd(width), ...wordsOf(hit)].join("  ").trimEnd(),
  );
}

function wordsOf({
  title,
  caption,
  duplicate_of: twin,
}: Pick<SearchHit, "title" | "caption" | "duplicate_of">): string[] {
  const words = [title, caption].filter((text) => text !== null).map(plain);
  return [
    [...new Set(words)].join(" · "),
    ...(twin === undefined ? [] : [`(the same picture as ${twin})`]),
  ].filter((part) => part !== "");
}

function noMatch({ namespace, model, min_score: least, ...scale }: SearchResponse): string {
  if (model === null) return `no match: nothing is indexed in "${namespace}"`;
  if (least === 0) return `no match in "${namespace}"`;
  const bar = scoreOf(least, scale).trimStart();
  return `no match: nothing in "${namespace}" reaches ${bar}; --min-score sets it lower`;
}
