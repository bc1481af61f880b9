// The flag --provider of the commands that run a model themselves; `serve` has it from the node's settings.
import { isProviderName, type ProviderName, providerNames } from "../runtime/providers.ts";
import { usageError } from "./parse-flags.ts";

export const providerFlag = { provider: { type: "string", default: "cpu" } } as const;
export const providerUsage = `[--provider ${providerNames.join("|")}]`;

/** Errors: `usage` for a name that is none. */
export function parseProvider(given: string, usage: string): ProviderName {
  if (isProviderName(given)) return given;
  throw usageError(`--provider is one of ${providerNames.join(", ")}, not "${given}"`, usage);
}
