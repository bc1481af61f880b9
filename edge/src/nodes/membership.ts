// Which nodes have joined, with which keys, and which tokens are out: a room of SQL without a clock, beside the roster in
// the registry. It holds no secret (joined-keys.ts). A key that it does not know is no key, however well it signs.
import { keyIdOf } from "./joined-keys.ts";
import type { RosterSql } from "./roster.ts";

export interface Offer {
  readonly tokenId: string;
  readonly name: string;
  /** As readAllowedOrigin takes it. */
  readonly origin: string;
  readonly expiresAt: number;
}

export interface Member {
  readonly name: string;
  readonly origin: string;
  /** Those that hold, the newest first. */
  readonly keyIds: readonly [string, ...string[]];
  readonly joinedAt: number;
}

/** What a key is good for. */
export interface Standing extends Member {
  /** It was sent away: it is to be told so, and nothing else. */
  readonly removed: boolean;
}

export interface Membership {
  /** Ends every other token of that name. `full`: there are as many nodes as there may be. */
  offer(offer: Offer, now: number): "offered" | "full";
  /**
   * Spends a token on a key with this suffix; with the same proof once more it gives the same. Whoever had that name is replaced: its
   * keys, in `ended`, hold no longer. Undefined for a token that is none, is over, or was spent by another.
   */
  join(
    spent: { readonly tokenId: string; readonly proof: string; readonly suffix: string },
    now: number,
  ): { readonly member: Member; readonly ended: readonly string[] } | undefined;
  standingOf(keyId: string, now: number): Standing | undefined;
  /** It signs with this one: once with its newest, the one before has its time and no more. */
  signsWith(keyId: string, now: number): void;
  /** One new key at a time: while the node has not come for it, or the one before still holds, nothing changes. */
  rotate(name: string, suffix: string, overlapMs: number, now: number): Member | undefined;
  /** Its keys hold no longer. */
  remove(name: string, now: number): Member | undefined;
  list(now: number): Member[];
}

/** So long one that was sent away is told so. */
const farewellMs = 600_000;
const maxMembers = 500;

interface Row {
  readonly name: string;
  readonly origin: string;
  readonly key_id: string;
  readonly old_key_id: string | null;
  readonly overlap_ms: number;
  /** Null: as long as the node has not used the newer one. */
  readonly old_until: number | null;
  readonly joined_at: number;
  readonly removed_at: number | null;
}
interface TokenRow {
  readonly name: string;
  readonly origin: string;
  readonly expires_at: number;
  readonly proof: string | null;
  readonly key_id: string | null;
}

export function createMembership(sql: RosterSql): Membership {
  sql.exec(`CREATE TABLE IF NOT EXISTS members (
    name TEXT PRIMARY KEY NOT NULL, origin TEXT NOT NULL, key_id TEXT NOT NULL, old_key_id TEXT,
    overlap_ms INTEGER NOT NULL DEFAULT 0, old_until INTEGER, joined_at INTEGER NOT NULL, removed_at INTEGER
  ) STRICT`);
  sql.exec(`CREATE TABLE IF NOT EXISTS join_tokens (
    id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, origin TEXT NOT NULL, expires_at INTEGER NOT NULL,
    proof TEXT, key_id TEXT
  ) STRICT`);

  const rowsOf = (query: string, ...values: (string | number)[]): Row[] =>
    sql.exec(query, ...values).toArray() as Row[];
  const rowOf = (name: string): Row | undefined =>
    rowsOf("SELECT * FROM members WHERE name = ? AND removed_at IS NULL", name)[0];
  /** What is over is forgotten. */
  function tidy(now: number): void {
    sql.exec("DELETE FROM join_tokens WHERE expires_at <= ?", now);
    sql.exec("DELETE FROM members WHERE removed_at <= ?", now - farewellMs);
    sql.exec("UPDATE members SET old_key_id = NULL, old_until = NULL WHERE old_until <= ?", now);
  }
  const memberOf = ({ name, origin, key_id, old_key_id, joined_at }: Row): Member => ({
    name,
    origin,
    keyIds: old_key_id === null ? [key_id] : [key_id, old_key_id],
    joinedAt: joined_at,
  });

  return {
    offer({ tokenId, name, origin, expiresAt }, now) {
      tidy(now);
      sql.exec("DELETE FROM join_tokens WHERE name = ?", name);
      const [{ n } = { n: 0 }] = sql
        .exec(
          `SELECT (SELECT count(*) FROM members WHERE name <> ?)
                + (SELECT count(*) FROM join_tokens WHERE proof IS NULL) AS n`,
          name,
        )
        .toArray() as { n: number }[];
      if (n >= maxMembers) return "full";
      sql.exec(
        "INSERT INTO join_tokens (id, name, origin, expires_at) VALUES (?, ?, ?, ?)",
        ...[tokenId, name, origin, expiresAt],
      );
      return "offered";
    },
    join({ tokenId, proof, suffix }, now) {
      tidy(now);
      const [token] = sql
        .exec("SELECT * FROM join_tokens WHERE id = ?", tokenId)
        .toArray() as TokenRow[];
      if (token === undefined) return undefined;
      const { name, origin } = token;
      const keyId = keyIdOf(name, suffix);
      if (token.proof !== null) {
        // Its answer was lost. What has become of the node since is not undone by it.
        const row = rowOf(name);
        return token.proof === proof && row?.key_id === token.key_id
          ? { member: memberOf(row), ended: [] }
          : undefined;
      }
      const [before] = rowsOf("SELECT * FROM members WHERE name = ?", name);
      sql.exec(
        `INSERT OR REPLACE INTO members (name, origin, key_id, old_key_id, overlap_ms, old_until, joined_at, removed_at)
         VALUES (?, ?, ?, NULL, 0, NULL, ?, NULL)`,
        ...[name, origin, keyId, now],
      );
      sql.exec(
        "UPDATE join_tokens SET proof = ?, key_id = ? WHERE id = ?",
        ...[proof, keyId, tokenId],
      );
      return {
        member: { name, origin, keyIds: [keyId], joinedAt: now },
        ended: before === undefined ? [] : memberOf(before).keyIds,
      };
    },
    standingOf(keyId, now) {
      tidy(now);
      const [row] = rowsOf(
        "SELECT * FROM members WHERE key_id = ? OR old_key_id = ?",
        keyId,
        keyId,
      );
      return row === undefined ? undefined : { ...memberOf(row), removed: row.removed_at !== null };
    },
    signsWith(keyId, now) {
      sql.exec(
        `UPDATE members SET old_until = ? + overlap_ms
         WHERE key_id = ? AND old_key_id IS NOT NULL AND old_until IS NULL`,
        ...[now, keyId],
      );
      tidy(now);
    },
    rotate(name, suffix, overlapMs, now) {
      tidy(now);
      sql.exec(
        `UPDATE members SET old_key_id = key_id, key_id = ?, overlap_ms = ?, old_until = NULL
         WHERE name = ? AND removed_at IS NULL AND old_key_id IS NULL`,
        ...[keyIdOf(name, suffix), overlapMs, name],
      );
      const row = rowOf(name);
      return row === undefined ? undefined : memberOf(row);
    },
    remove(name, now) {
      tidy(now);
      sql.exec("DELETE FROM join_tokens WHERE name = ?", name);
      const row = rowOf(name);
      if (row === undefined) return undefined;
      sql.exec("UPDATE members SET removed_at = ? WHERE name = ?", now, name);
      return memberOf(row);
    },
    list(now) {
      tidy(now);
      return rowsOf("SELECT * FROM members WHERE removed_at IS NULL ORDER BY name").map(memberOf);
    },
  };
}
