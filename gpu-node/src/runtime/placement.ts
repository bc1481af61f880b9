// Which operators of a graph ran where, and what was carried between host and device for their sake: read
// from the profile that the runtime writes of a run. Two kinds of copies are no nodes and stand in no
// profile: a graph's own inputs and outputs, and what a Loop feeds its body (docs/providers.md).
import { z } from "zod";

export interface Placement {
  /** Runs of kernels by provider, in the runtime's names. */
  readonly nodes: Readonly<Record<string, number>>;
  /** Runs of kernels off the asked provider, by operator; those that copy are not among them. */
  readonly elsewhere: Readonly<Record<string, number>>;
  /** Copies that the runtime put between nodes of two providers. */
  readonly copies: number;
  readonly copiedBytes: number;
}

const eventSchema = z.object({
  cat: z.string().optional(),
  args: z
    .object({
      op_name: z.string().optional(),
      provider: z.string().optional(),
      output_size: z.string().optional(),
    })
    .optional(),
});
const profileSchema = z.array(eventSchema);

const isCopy = (op: string): boolean => op === "MemcpyFromHost" || op === "MemcpyToHost";

/** `profile`: the parsed file. `provider`: the asked one in the runtime's name. Throws when it is no profile. */
export function readPlacement(profile: unknown, provider: string): Placement {
  const nodes: Record<string, number> = {};
  const elsewhere: Record<string, number> = {};
  let copies = 0;
  let copiedBytes = 0;
  for (const { cat, args } of profileSchema.parse(profile)) {
    const { op_name: op, provider: at } = args ?? {};
    // A node that has no kernel of its own (a fused constant) names no provider.
    if (cat !== "Node" || op === undefined || at === undefined) continue;
    if (isCopy(op)) {
      copies += 1;
      copiedBytes += Number(args?.output_size ?? 0);
      continue;
    }
    nodes[at] = (nodes[at] ?? 0) + 1;
    if (at !== provider) elsewhere[op] = (elsewhere[op] ?? 0) + 1;
  }
  return { nodes, elsewhere, copies, copiedBytes };
}
