// Entry of the process in which a provider is tried (probe-provider.ts): 1 + 1, by a graph of one node that
// may not fall back to the CPU.
import process from "node:process";
import { addOn } from "./ort.ts";
import type { ProbeAnswer } from "./probe-provider.ts";
import { isProviderName, openingFault } from "./providers.ts";

async function tryOut(provider: string): Promise<ProbeAnswer> {
  if (!isProviderName(provider)) throw new Error(`"${provider}" is no provider`);
  try {
    const sum = await addOn(provider);
    return sum === 2
      ? { ok: true }
      : { ok: false, why: `to it, 1 + 1 is ${sum}`, internal: "a wrong sum" };
  } catch (error) {
    const internal = error instanceof Error ? error.message.trim() : String(error);
    return { ok: false, why: openingFault(error) ?? "a graph of one node does not run", internal };
  }
}

const answer = await tryOut(process.argv[2] ?? "");
process.send?.(answer, () => process.exit(0));
