// `blip2-edge caption IMAGE...`: what is in these pictures, asked of a Worker.
import { captionRequestSchema } from "@blip2-edge/shared/contracts/caption";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { z } from "zod";
import { clientOf, commonHelp, orUsage, parseFlags, usageError } from "./flags.ts";
import { generationFlags, generationHelp, generationOf } from "./generation-flags.ts";
import type { CliIo } from "./io.ts";
import { eachPicture, pictureHelp } from "./picture.ts";

const usage =
  "blip2-edge caption IMAGE... [--prompt TEXT] [--style alt] [--model NAME] [--stream] [generation] [--json]";
const styleSchema = z.strictObject({ style: captionRequestSchema.shape.style });
export const captionHelp = `${usage}

${pictureHelp}
  --prompt     what the text begins with
  --style      alt: fit for a page's alt text; not with --stream
  --stream     print the text while it is written; with --json an event a line
${generationHelp}
${commonHelp}`;

/** Exit status: 0 when every picture has its caption. Errors: AppError, for the entry to print. */
export async function caption(args: readonly string[], io: CliIo): Promise<number> {
  const { values, positionals } = parseFlags(
    args,
    {
      prompt: { type: "string" },
      style: { type: "string" },
      model: { type: "string" },
      stream: { type: "boolean", default: false },
      ...generationFlags,
    },
    usage,
  );
  if (positionals.length === 0) throw usageError("Give at least one picture", usage);
  const { prompt, model, json, stream } = values;
  const { style } = orUsage(usage, () => parseOrRefuse(styleSchema, { style: values.style }));
  if (style !== undefined && stream) {
    throw usageError("Alt text is decided once the whole text is there: not with --stream", usage);
  }
  const options = { prompt, style, model, ...generationOf(values, usage) };
  const client = clientOf(values, io, usage);
  const { signal } = io;
  const isOne = positionals.length === 1;
  return eachPicture(positionals, { json, io }, async (name, image) => {
    if (stream) {
      const label = isOne ? "" : `${name}: `;
      if (!json) io.write(label);
      for await (const event of client.streams.caption({ image, ...options }, { signal })) {
        if (json) io.stdout(JSON.stringify({ image: name, ...event }));
        else if (event.event === "text") io.write(event.text);
      }
      if (!json) io.stdout("");
      return;
    }
    const answer = await client.caption({ image, ...options }, { signal });
    if (json) return io.stdout(JSON.stringify({ image: name, ...answer }));
    for (const note of answer.notes ?? []) io.stderr(note);
    for (const { text } of answer.sequences ?? [answer]) {
      io.stdout(isOne ? text : `${name}: ${text}`);
    }
  });
}
