// What the API answered, held to the route's schema: a whole answer, or a stream of events. What is none is
// the problem api_unexpected; a problem document is thrown as the problem it is.
import type { z } from "zod";
import { type StreamEvent, textEventSchema } from "../contracts/stream.ts";
import { AppError, fromProblem } from "../problem.ts";
import { readBounded } from "../read-bounded.ts";
import { BrokenEvents, readServerSentEvents } from "../sse.ts";

const misunderstood = (internal: string, cause?: unknown): AppError =>
  new AppError("api_unexpected", "The API's answer does not have the expected form.", {
    internal,
    cause,
  });

export async function answerOf(
  response: Response,
  schema: z.ZodType,
  maxBytes: number,
): Promise<unknown> {
  const read = await readBounded(response.body, maxBytes);
  if (!read.ok) {
    throw new AppError("api_unexpected", `The API's answer is longer than ${maxBytes} bytes.`);
  }
  const json = parseJson(new TextDecoder().decode(read.bytes));
  if (response.ok) return parseAs(schema, json);
  throw (
    fromProblem(json) ??
    new AppError(
      "api_unexpected",
      `The API answered with status ${response.status} and no problem document. Is the URL that of a blip2-edge Worker?`,
    )
  );
}

/** Events of other names are passed over: a younger Worker may say more. */
export async function* eventsOf(
  body: ReadableStream<Uint8Array>,
  schema: z.ZodType,
): AsyncGenerator<StreamEvent<unknown>> {
  try {
    for await (const { name, data } of readServerSentEvents(body)) {
      const json = parseJson(data);
      if (name === "problem") throw fromProblem(json) ?? misunderstood("no problem document");
      if (name === "text") {
        const said = textEventSchema.safeParse(json);
        if (!said.success) throw misunderstood(said.error.message);
        yield { event: "text", ...said.data };
      }
      if (name === "result") return yield { event: "result", result: parseAs(schema, json) };
    }
  } catch (error) {
    if (error instanceof BrokenEvents) throw misunderstood(error.message, error.cause);
    throw error;
  }
  throw misunderstood("the events end without a result");
}

function parseAs(schema: z.ZodType, json: unknown): unknown {
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw misunderstood(parsed.error.message, parsed.error);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
