// What processes have computed so far. Linux only.
import { readFileSync } from "node:fs";

/** CPU time of these processes so far; Linux counts it in hundredths of a second. */
export function processCpuMs(pids: readonly { readonly pid: number }[]): number {
  return pids.reduce((sum, { pid }) => {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return sum + (Number(fields[11]) + Number(fields[12])) * 10;
  }, 0);
}
