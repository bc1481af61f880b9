// A streamed answer of POST /v1/caption and /v1/vqa (`stream: true`): server-sent events as nodes send them,
// any number of `text`, then one `result`, the very JSON of the plain answer, or one `problem`.
import { z } from "zod";

export const streamField = z
  .boolean()
  .optional()
  .describe(
    "Answer with server-sent events while the text is written: `text` {index, text} any number of times, then `result` with the whole answer, or `problem`. What fails before the first event is an ordinary problem with its status.",
  );

/** More of the text at `index` (that of the question in `questions`; 0 for one text): whole characters, in order. */
export const textEventSchema = z.object({ index: z.int().min(0), text: z.string() });
export type TextEvent = z.infer<typeof textEventSchema>;

/** An event as a client hands it on; a `problem` is thrown instead. */
export type StreamEvent<Answer> =
  | { readonly event: "text"; readonly index: number; readonly text: string }
  | { readonly event: "result"; readonly result: Answer };
