// The nodes that have announced themselves: a room of SQL without a clock. A heartbeat is taken once, and
// never after a later one of the same node, also by a registry that was started anew: what was heard last
// is kept in the table for longer than a signature lives.
import type { Heartbeat } from "@blip2-edge/shared/wire/heartbeat";

/** The SQL of a Durable Object, or of anything else that is SQLite. */
export interface RosterSql {
  exec(query: string, ...values: (string | number | null)[]): { toArray(): unknown[] };
}

export interface Announced {
  /** The origin, as the edge reaches the node. */
  readonly url: string;
  readonly keyId: string;
  readonly heartbeat: Heartbeat;
}

export interface Listed extends Announced {
  /** How long ago it was heard of. */
  readonly agoMs: number;
}

/** Alive or not. */
export interface Known extends Listed {
  readonly alive: boolean;
}

/** `stale`: it has been heard already, or a later one has. `full`: there are as many nodes as there may be. */
export type Heard = "heard" | "stale" | "full";

export interface Roster {
  hear(announced: Announced, aliveMs: number, now: number): Heard;
  /** Those that are alive, in the order of their origins. */
  list(now: number): Listed[];
  /** Those too that are gone for a while. */
  known(now: number): Known[];
  /** The key of whoever is alive at this origin. */
  holderOf(url: string, now: number): string | undefined;
  /** What these keys have announced was never said. */
  forget(keyIds: readonly string[]): void;
}

/** Longer than any signature is valid (wire/signature.ts): after it nothing can be replayed. */
const keepGoneMs = 300_000;
const maxNodes = 500;

interface Row {
  readonly url: string;
  readonly key_id: string;
  readonly started_at: number;
  readonly seq: number;
  readonly heard_at: number;
  readonly ends_at: number;
  readonly heartbeat: string;
}

const listed = (row: Row, now: number): Listed => ({
  url: row.url,
  keyId: row.key_id,
  agoMs: Math.max(0, now - row.heard_at),
  heartbeat: JSON.parse(row.heartbeat) as Heartbeat,
});

export function createRoster(sql: RosterSql): Roster {
  sql.exec(`CREATE TABLE IF NOT EXISTS nodes (
    url TEXT PRIMARY KEY NOT NULL, key_id TEXT NOT NULL, started_at INTEGER NOT NULL, seq INTEGER NOT NULL,
    heard_at INTEGER NOT NULL, ends_at INTEGER NOT NULL, heartbeat TEXT NOT NULL
  ) STRICT`);
  return {
    hear({ url, keyId, heartbeat }, aliveMs, now) {
      sql.exec("DELETE FROM nodes WHERE ends_at < ?", now - keepGoneMs);
      const [known] = sql.exec("SELECT * FROM nodes WHERE url = ?", url).toArray() as Row[];
      const { started_at: startedAt, seq, state } = heartbeat;
      if (known === undefined) {
        const [count] = sql.exec("SELECT count(*) AS n FROM nodes").toArray() as { n: number }[];
        if ((count?.n ?? 0) >= maxNodes) return "full";
      } else if (
        startedAt < known.started_at ||
        (startedAt === known.started_at && seq <= known.seq)
      ) {
        return "stale";
      }
      const endsAt = state === "leaving" ? now : now + aliveMs;
      sql.exec(
        "INSERT OR REPLACE INTO nodes (url, key_id, started_at, seq, heard_at, ends_at, heartbeat) VALUES (?, ?, ?, ?, ?, ?, ?)",
        ...[url, keyId, startedAt, seq, now, endsAt, JSON.stringify(heartbeat)],
      );
      return "heard";
    },
    list: (now) =>
      (sql.exec("SELECT * FROM nodes WHERE ends_at > ? ORDER BY url", now).toArray() as Row[]).map(
        (row) => listed(row, now),
      ),
    known: (now) =>
      (sql.exec("SELECT * FROM nodes ORDER BY url").toArray() as Row[]).map((row) => ({
        ...listed(row, now),
        alive: row.ends_at > now,
      })),
    holderOf(url, now) {
      const [row] = sql
        .exec("SELECT * FROM nodes WHERE url = ? AND ends_at > ?", url, now)
        .toArray() as Row[];
      return row?.key_id;
    },
    forget(keyIds) {
      for (const keyId of keyIds) sql.exec("DELETE FROM nodes WHERE key_id = ?", keyId);
    },
  };
}
