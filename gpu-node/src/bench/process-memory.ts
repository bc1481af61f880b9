// Resident memory of another process as Linux tells it; mapped files count as far as they were touched. Undefined
// on other systems and for a process that is gone.
import { readFile } from "node:fs/promises";

export interface ProcessMemory {
  readonly residentBytes: number;
  /** The most that it ever was. */
  readonly peakBytes: number;
}

/** `status`: the text of /proc/PID/status. */
export function parseMemory(status: string): ProcessMemory | undefined {
  const bytes = (field: string): number | undefined => {
    const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  };
  const [residentBytes, peakBytes] = [bytes("VmRSS"), bytes("VmHWM")];
  if (residentBytes === undefined || peakBytes === undefined) return undefined;
  return { residentBytes, peakBytes };
}

const readMemory = async (pid: number): Promise<ProcessMemory | undefined> =>
  parseMemory(await readFile(`/proc/${pid}/status`, "utf8").catch(() => ""));

/** Of several together; undefined when one is unknown. */
export async function sumMemory(pids: readonly number[]): Promise<ProcessMemory | undefined> {
  let [residentBytes, peakBytes] = [0, 0];
  for (const pid of pids) {
    const memory = await readMemory(pid);
    if (memory === undefined) return undefined;
    residentBytes += memory.residentBytes;
    peakBytes += memory.peakBytes;
  }
  return { residentBytes, peakBytes };
}
