// On whose account a connection's pictures are described.
import type { Caller } from "../auth/caller.ts";
import type { KeyCaller } from "../auth/key-caller.ts";
import type { ConnectionRecord } from "./connection-record.ts";

/** Undefined: its key was revoked, has expired or may not do it any more. */
export async function workerOf(
  callerOfKey: KeyCaller,
  { key_id: keyId, tenant }: Pick<ConnectionRecord, "key_id" | "tenant">,
): Promise<Caller | undefined> {
  const caller = await callerOfKey(keyId);
  const may = caller?.tenant === tenant && caller.scopes.includes("connections");
  return may && !caller.noStore ? caller : undefined;
}
