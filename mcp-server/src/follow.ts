// The bytes behind a link that the API gave, bounded. Whoever mounts the server says how the link is asked for, so that
// it is asked of the API and of nobody else.
import { AppError, fromProblem } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";

export type AskLink = (link: URL, signal: AbortSignal) => Promise<Response>;

/** A thumbnail at its worst is a tenth of it. */
const maxBytes = 1_000_000;

/** Throws the API's problem, api_unreachable, api_unexpected. */
export async function followLink(
  link: string,
  ask: AskLink,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const response = await ask(new URL(link), signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new AppError("api_unreachable", "The picture cannot be had from the API.", { cause });
  });
  const read = await readBounded(response.body, maxBytes, signal);
  if (!read.ok) throw new AppError("api_unexpected", "The picture is too large to be shown here.");
  if (response.ok) return read.bytes;
  throw (
    fromProblem(parsed(read.bytes)) ?? new AppError("api_unexpected", "The link gave no picture.")
  );
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
