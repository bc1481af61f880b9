// A request that makes something, made once however often it is sent (draft-ietf-httpapi-idempotency-key-header-07):
// the same key with the same request gets the first answer again, with another request it is refused, and while
// the first goes on it is told to wait. Of a key only a hash is stored and its answer is sealed with it, so the
// tables tell no secret that an answer holds. Only what was made is remembered: a refused request may be sent again.
import { sha256Hex } from "@blip2-edge/shared/hex";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { Sealer } from "../auth/seal.ts";
import type { KeyTable, SqlValue } from "../auth/tables.ts";

export interface RememberOptions {
  readonly table: KeyTable;
  readonly sealer: Sealer;
  /** How long an answer is remembered. */
  readonly keepMs: number;
  /** After so long a request that was not answered is taken to have died. */
  readonly leaseMs: number;
  readonly now?: () => number;
  readonly newId?: () => string;
}

export interface IdempotentRequest {
  readonly tenant: string;
  /** The header, if there is one. */
  readonly header: string | undefined;
  /** What was asked: route, path and every field. */
  readonly asked: string;
}

/** As it is stored: status, headers that the answer needs, body. */
const answerSchema = z.object({
  status: z.int(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
});
export type StoredAnswer = z.infer<typeof answerSchema>;

export interface Remembered {
  readonly answer: StoredAnswer;
  readonly isReplay: boolean;
}

/**
 * Runs `make` once. Its `seed` (32 hex digits) is the same when a request is taken up again whose Worker died:
 * what is made under an id from it is made once. Throws what `make` throws, invalid_request,
 * idempotency_key_reused, idempotency_in_progress.
 */
export type Remember = (
  request: IdempotentRequest,
  make: (seed: string) => Promise<StoredAnswer>,
) => Promise<Remembered>;

const maxKeyCharacters = 255;
const rowSchema = z.object({
  fingerprint: z.string(),
  seed: z.string(),
  lease: z.string(),
  lease_until: z.number(),
  answer: z.string().nullable(),
});

/** A string of RFC 9651, as the draft has it, or the same without quotes, as most clients send it. */
function keyOf(header: string): string {
  const quoted = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(header)?.[1];
  const key = quoted === undefined ? header : quoted.replaceAll(/\\(["\\])/g, "$1");
  const isPlain = quoted !== undefined || /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(header);
  if (key === "" || key.length > maxKeyCharacters || !isPlain) {
    throw invalidRequest(
      [
        {
          field: "Idempotency-Key",
          message: `must be a text of 1 to ${maxKeyCharacters} visible ASCII characters, such as a UUID`,
        },
      ],
      "The header",
    );
  }
  return key;
}

export function remember(options: RememberOptions): Remember {
  const { table, sealer, keepMs, leaseMs, now = Date.now } = options;
  const newId = options.newId ?? (() => crypto.randomUUID().replaceAll("-", ""));
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);

  return async ({ tenant, header, asked }, make) => {
    if (header === undefined) return { answer: await make(newId()), isReplay: false };
    const key = keyOf(header);
    const keyHash = await sha256Hex(`${tenant}\n${key}`);
    const fingerprint = await sha256Hex(asked);
    const at = now();
    const lease = newId();
    // Taken when it is new, over, or was left by a request that died; then the row carries our lease.
    const row = await prepared(
      `INSERT INTO idempotent_requests (tenant, key_hash, fingerprint, seed, lease, lease_until, expires_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6 + ?7, ?6 + ?8)
       ON CONFLICT (tenant, key_hash) DO UPDATE SET
         seed = CASE WHEN expires_at <= ?6 THEN ?4 ELSE seed END,
         fingerprint = ?3, lease = ?5, lease_until = ?6 + ?7, expires_at = ?6 + ?8, answer = NULL
       WHERE expires_at <= ?6 OR (answer IS NULL AND lease_until <= ?6 AND fingerprint = ?3)
       RETURNING fingerprint, seed, lease, lease_until, answer`,
      ...[tenant, keyHash, fingerprint, newId(), lease, at, leaseMs, keepMs],
    ).first();
    if (row === null)
      return { answer: await earlier(tenant, key, keyHash, fingerprint), isReplay: true };
    const { seed } = rowSchema.parse(row);
    const mine = "tenant = ?1 AND key_hash = ?2 AND lease = ?3";
    let answer: StoredAnswer;
    try {
      answer = await make(seed);
    } catch (error) {
      await prepared(`DELETE FROM idempotent_requests WHERE ${mine}`, tenant, keyHash, lease).run();
      throw error;
    }
    const sealed = await sealer.seal(purposeOf(tenant, key), JSON.stringify(answer));
    await prepared(
      `UPDATE idempotent_requests SET answer = ?4 WHERE ${mine}`,
      ...[tenant, keyHash, lease, sealed],
    ).run();
    return { answer, isReplay: false };
  };

  async function earlier(
    tenant: string,
    key: string,
    keyHash: string,
    fingerprint: string,
  ): Promise<StoredAnswer> {
    const found = await prepared(
      "SELECT fingerprint, seed, lease, lease_until, answer FROM idempotent_requests WHERE tenant = ?1 AND key_hash = ?2",
      ...[tenant, keyHash],
    ).first();
    const row = found === null ? undefined : rowSchema.parse(found);
    if (row !== undefined && row.fingerprint !== fingerprint) {
      throw new AppError(
        "idempotency_key_reused",
        "Another request was sent with this Idempotency-Key. Use a new key for a new request.",
      );
    }
    if (row === undefined || row.answer === null) {
      throw new AppError(
        "idempotency_in_progress",
        "The first request with this Idempotency-Key is not answered yet. Try again.",
        { retryAfterS: 1 },
      );
    }
    const text = await sealer.open(purposeOf(tenant, key), row.answer);
    if (text === undefined) {
      throw new AppError(
        "idempotency_key_reused",
        "What was answered under this Idempotency-Key can no longer be read. Use a new key.",
        { internal: "the stored answer does not open: was PARTITION_SECRET changed?" },
      );
    }
    return answerSchema.parse(JSON.parse(text));
  }
}

/** With the key itself, which is stored nowhere. */
const purposeOf = (tenant: string, key: string): string => `idempotent ${tenant} ${key}`;

/** Forgets what is over. */
export async function forgetOld(table: KeyTable, now: number, limit: number): Promise<void> {
  await table
    .prepare(
      `DELETE FROM idempotent_requests WHERE (tenant, key_hash) IN
       (SELECT tenant, key_hash FROM idempotent_requests WHERE expires_at <= ?1 LIMIT ?2)`,
    )
    .bind(now, limit)
    .run();
}
