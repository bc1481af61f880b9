// `blip2-edge match IMAGE TEXT...` and `classify IMAGE LABEL...`: how well texts fit a picture, and which label
// does best, asked of a Worker.
import type { Client, ClientImage } from "@blip2-edge/shared/client";
import { clientOf, commonHelp, parseFlags, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";
import { eachPicture, pictureHelp } from "./picture.ts";

const matchUsage = "blip2-edge match IMAGE TEXT... [--model NAME] [--json]";
export const matchHelp = `${matchUsage}

${pictureHelp}
  itm          image-text matching: the probability that the text describes the picture
  itc          image-text contrastive: the best cosine of the picture's vectors with the text's
${commonHelp}`;

const classifyUsage =
  "blip2-edge classify IMAGE LABEL... [--template TEXT] [--model NAME] [--json]";
export const classifyHelp = `${classifyUsage}

${pictureHelp}
  --template   what the model reads, {} standing for the label; default "a {}"
The score ranks the labels given; it is no calibrated probability.
${commonHelp}`;

/** Exit status: 0 when every text has its scores. Errors: AppError, for the entry to print. */
export function match(args: readonly string[], io: CliIo): Promise<number> {
  return aboutTexts(args, io, matchUsage, async (client, image, texts, { model }) => {
    const { matches, ...about } = await client.match(
      { image, texts: [...texts], model },
      { signal: io.signal },
    );
    return matches.map((one) => ({
      line: `itm ${digits(one.itm)}  itc ${digits(one.itc)}  ${one.text}`,
      row: { ...about, ...one },
    }));
  });
}

/** Exit status: 0 when the labels are sorted. Errors: AppError, for the entry to print. */
export function classify(args: readonly string[], io: CliIo): Promise<number> {
  return aboutTexts(args, io, classifyUsage, async (client, image, labels, options) => {
    const { labels: sorted, ...about } = await client.classify(
      { image, labels: [...labels], ...options },
      { signal: io.signal },
    );
    return sorted.map((one) => ({
      line: `${digits(one.score)}  itc ${digits(one.itc)}  ${one.label}`,
      row: { ...about, ...one },
    }));
  });
}

const digits = (value: number | undefined): string => (value ?? NaN).toFixed(4).padStart(7);

interface Options {
  readonly model?: string | undefined;
  readonly template?: string | undefined;
}

interface Row {
  readonly line: string;
  readonly row: Readonly<Record<string, unknown>>;
}

async function aboutTexts(
  args: readonly string[],
  io: CliIo,
  usage: string,
  ask: (
    client: Client,
    image: ClientImage,
    texts: readonly string[],
    options: Options,
  ) => Promise<readonly Row[]>,
): Promise<number> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseFlags(args, { model: text, template: text }, usage);
  const [picture, ...texts] = positionals;
  if (picture === undefined || texts.length === 0) {
    throw usageError("Give a picture and at least one text", usage);
  }
  const { json, model, template } = values;
  if (template !== undefined && usage !== classifyUsage) {
    throw usageError("--template is for classify", usage);
  }
  const client = clientOf(values, io, usage);
  return eachPicture([picture], { json, io }, async (name, image) => {
    for (const { line, row } of await ask(client, image, texts, { model, template })) {
      io.stdout(json ? JSON.stringify({ image: name, ...row }) : line);
    }
  });
}
