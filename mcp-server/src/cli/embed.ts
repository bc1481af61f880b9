// `blip2-edge embed (--image IMAGE | --text TEXT)`: the vectors of a picture or of a text, asked of a Worker.
import { clientOf, commonHelp, parseFlags, usageError } from "./flags.ts";
import type { CliIo } from "./io.ts";
import { pictureHelp, pictureOf } from "./picture.ts";

const usage =
  "blip2-edge embed (--image IMAGE | --text TEXT) [--features projected|query] [--model NAME] [--json]";
export const embedHelp = `${usage}

${pictureHelp}
  projected    vectors of length 1 to compare by cosine: of a picture several, of a text one (default)
  query        the Q-Former's raw output
Without --json a vector a line.
${commonHelp}`;

/** Exit status: 0 when the vectors are printed. Errors: AppError, for the entry to print. */
export async function embed(args: readonly string[], io: CliIo): Promise<number> {
  const flag = { type: "string" } as const;
  const { values, positionals } = parseFlags(
    args,
    { image: flag, text: flag, features: flag, model: flag },
    usage,
  );
  const { image: picture, text, features, model, json } = values;
  if (positionals.length > 0 || (picture === undefined) === (text === undefined)) {
    throw usageError("Give either --image or --text", usage);
  }
  if (features !== undefined && features !== "projected" && features !== "query") {
    throw usageError("--features is projected or query", usage);
  }
  const client = clientOf(values, io, usage);
  const asked = picture === undefined ? { text: text ?? "" } : { image: await pictureOf(picture) };
  const answer = await client.embed({ ...asked, features, model }, { signal: io.signal });
  if (json) {
    io.stdout(
      JSON.stringify({ ...(picture === undefined ? { text } : { image: picture }), ...answer }),
    );
    return 0;
  }
  for (const vector of vectorsOf(answer.embedding)) io.stdout(vector.join(" "));
  return 0;
}

/** Of a text one vector, of all else several. */
function vectorsOf(embedding: readonly (number | readonly number[])[]): (readonly number[])[] {
  const rows = embedding.filter((entry) => typeof entry !== "number");
  return rows.length > 0 ? rows : [embedding.filter((entry) => typeof entry === "number")];
}
