// One call for each id of a command line. An id that nobody knows is told of and does not keep the others from their turn.
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import type { CliIo } from "./io.ts";

/** `alone`: problems that are about one id. Exit status: 1 when one had any. Errors: all others of the calls. */
export async function eachId(
  ids: readonly string[],
  io: Pick<CliIo, "signal" | "stderr">,
  call: (id: string) => Promise<void>,
  alone: readonly ProblemCode[] = ["not_found"],
): Promise<0 | 1> {
  let failed = false;
  for (const id of ids) {
    try {
      await call(id);
    } catch (error) {
      if (!(error instanceof AppError) || !alone.includes(error.code) || io.signal.aborted) {
        throw error;
      }
      failed = true;
      io.stderr(`${id}: ${error.detail}`);
    }
  }
  return failed ? 1 : 0;
}
