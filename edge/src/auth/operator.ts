// Operator keys: secrets of the Worker itself (OPERATOR_KEYS), which make the first key of every tenant.
// They manage keys and read usage, and do nothing else; no key of the table can become one.
import { equalTexts } from "@blip2-edge/shared/equal-texts";
import { sha256Hex } from "@blip2-edge/shared/hex";
import { noLimits, type Caller } from "./caller.ts";

/** Several, so that one can be replaced while the other is in use. */
export type OperatorKeys = readonly string[];

/** A form that scanners and the log's redaction know. */
export const operatorKeyPattern = /^b2e_operator_[0-9A-Za-z]{32,128}$/;

const operator: Caller = {
  keyId: "operator",
  tenant: "operator",
  scopes: ["admin"],
  limits: noLimits,
  fetchAllow: [],
  noStore: false,
  isOperator: true,
};

/** The operator whose key this is; hashes are compared, so that time tells nothing of the text. */
export async function operatorOf(keys: OperatorKeys, key: string): Promise<Caller | undefined> {
  if (!operatorKeyPattern.test(key)) return undefined;
  const hash = await sha256Hex(key);
  let found = false;
  for (const known of keys) found = equalTexts(hash, await sha256Hex(known)) || found;
  return found ? operator : undefined;
}
