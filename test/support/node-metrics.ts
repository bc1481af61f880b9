// Reads a node's counters as its operator would: a signed GET /metrics, one line per counter.
import { formatSigningKeys } from "../../infra/start/signing-keys.ts";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";

interface NodeAddress {
  readonly node: { readonly url: string };
  readonly nodeKeys: readonly { readonly id: string; readonly secret: string }[];
}

/** The value of a counter or gauge, summed over its labels. Throws when the node does not have it. */
export async function nodeMetric(stack: NodeAddress, name: string): Promise<number> {
  const url = new URL("/metrics", stack.node.url);
  const keys = parseSigningKeys(formatSigningKeys(stack.nodeKeys));
  const headers = await createSigner({ keys }).sign({ method: "GET", url: url.href });
  const response = await fetch(url, { headers });
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
  const lines = (await response.text()).split("\n");
  const values = lines
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)));
  if (values.length === 0) throw new Error(`the node has no metric ${name}`);
  return values.reduce((sum, value) => sum + value, 0);
}
