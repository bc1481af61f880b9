// Room in the isolate's memory for a file that is about to arrive: all of it at once when its length is
// known, which cannot end in two that wait for each other; else step by step as it grows.
import type { Room } from "@blip2-edge/shared/read-bounded";
import type { MemoryShare } from "./picture-memory.ts";

const firstStepBytes = 262_144;

/** Content-Length, where it is the length of what will be read. */
export function announcedBytes(headers: Headers): number | undefined {
  const encoded = (headers.get("content-encoding") ?? "identity") !== "identity";
  const length = headers.get("content-length");
  return encoded || length === null || !/^\d{1,15}$/.test(length) ? undefined : Number(length);
}

/** Waits until there is room. Throws overloaded, then or as the file grows. */
export async function roomFor(
  announced: number | undefined,
  memory: MemoryShare,
  signal: AbortSignal,
): Promise<Room> {
  let held = announced ?? firstStepBytes;
  await memory.hold(held, signal);
  if (announced !== undefined) return { expectedBytes: announced };
  return {
    async more(bytes) {
      // Chunks that are put together at the end lie in memory twice for a moment.
      while (2 * bytes > held) {
        await memory.hold(held, signal);
        held *= 2;
      }
    },
  };
}
