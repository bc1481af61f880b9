// What a node learns of a partition: a tag that groups features and names nobody.
import { toHex } from "@blip2-edge/shared/hex";
import type { Partition } from "../partition.ts";

export type PartitionTag = (partition: Partition) => Promise<string>;

/** The first 32 hex digits of HMAC-SHA-256(secret, partition), domain-separated. */
export function partitionTag(secret: string): PartitionTag {
  return async (partition) => {
    const text = new TextEncoder();
    const key = await crypto.subtle.importKey(
      "raw",
      text.encode(secret),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    const mac = await crypto.subtle.sign(
      "HMAC",
      key,
      text.encode(`blip2-edge/partition/v1\0${partition}`),
    );
    return toHex(new Uint8Array(mac, 0, 16));
  };
}
