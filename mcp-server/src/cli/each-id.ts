// One call for each id of a command line. An id that nobody knows is told of and does not keep the others from their turn.
import { AppError } from "@blip2-edge/shared/problem";
import type { CliIo } from "./io.ts";

/** Exit status: 1 when one was not found. Errors: any other of the calls. */
export async function eachId(
  ids: readonly string[],
  io: Pick<CliIo, "signal" | "stderr">,
  call: (id: string) => Promise<void>,
): Promise<0 | 1> {
  let missing = false;
  for (const id of ids) {
    try {
      await call(id);
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "not_found" || io.signal.aborted) {
        throw error;
      }
      missing = true;
      io.stderr(`${id}: ${error.detail}`);
    }
  }
  return missing ? 1 : 0;
}
