// The outbox of outside-sql.ts as whoever writes to Vectorize sees it: what is to be sent, what is asked, what is awaited.
// One at a time. What it gives is marked as asked before it is, so a crash between asks again and forgets nothing.
import { codesOf, statements, type IndexSql } from "./index-sql.ts";
import type { VectorState } from "./outside-sql.ts";

export interface UnsentVector {
  readonly seq: number;
  readonly values: readonly number[];
}
export interface AwaitedSending {
  readonly n: number;
  readonly mutation: string;
  /** One of its vectors: an upsert is processed once it is there, a deletion once it is not. */
  readonly witness: number;
  readonly deletes: boolean;
}

export interface OutboxTables {
  /** What was asked and never answered is to be asked again, and what was sent before and is not processed still. */
  recover(sentBefore: number): void;
  /** Marks what it gives as asked. */
  takeUnsent(most: number): UnsentVector[];
  takeLeaving(most: number): number[];
  answered(seqs: readonly number[], mutation: string, now: number): void;
  /** The oldest. */
  awaited(most: number): AwaitedSending[];
  /** By the mutation that is the last processed; false when it is none of these. */
  processedUpTo(mutation: string): boolean;
  processed(n: number): void;
}

export function outboxTables(sql: IndexSql): OutboxTables {
  const { all, run, count } = statements(sql);
  const listed = "IN (SELECT value FROM json_each(?))";
  const mark = (state: VectorState, seqs: readonly number[]): void =>
    run(
      `UPDATE outside SET state = ?, sending = NULL WHERE seq ${listed}`,
      state,
      JSON.stringify(seqs),
    );
  function processed(n: number): void {
    run(
      `UPDATE outside SET sending = NULL, state = CASE WHEN picture IS NULL THEN 'leaving' ELSE 'there' END
       WHERE state = 'sent' AND sending = ?`,
      n,
    );
    run("DELETE FROM outside WHERE state = 'deleting' AND sending = ?", n);
    run("DELETE FROM sendings WHERE n = ?", n);
  }

  return {
    recover(sentBefore) {
      run(
        "UPDATE outside SET sending = NULL WHERE state IN ('sent', 'deleting') AND sending IN (SELECT n FROM sendings WHERE sent_at < ?)",
        sentBefore,
      );
      run("DELETE FROM sendings WHERE sent_at < ?", sentBefore);
      run("UPDATE outside SET state = 'leaving' WHERE state = 'deleting' AND sending IS NULL");
      run(
        "UPDATE outside SET state = 'leaving' WHERE state = 'sent' AND sending IS NULL AND picture IS NULL",
      );
    },

    takeUnsent(most) {
      const found = (["sent", "new"] as const).flatMap((state) =>
        all<{ seq: number; mean_scale: number; mean: unknown }>(
          `SELECT o.seq, p.mean_scale, p.mean FROM outside o JOIN pictures p ON p.key = o.picture
           WHERE o.state = ? AND o.sending IS NULL ORDER BY o.seq LIMIT ?`,
          ...[state, most],
        ),
      );
      const rows = found.slice(0, most);
      mark(
        "sent",
        rows.map(({ seq }) => seq),
      );
      return rows.map(({ seq, mean_scale: scale, mean }) => ({
        seq,
        values: Array.from(codesOf(mean), (code) => code * scale),
      }));
    },
    takeLeaving(most) {
      const seqs = all<{ seq: number }>(
        "SELECT seq FROM outside WHERE state = 'leaving' ORDER BY seq LIMIT ?",
        most,
      ).map(({ seq }) => seq);
      mark("deleting", seqs);
      return seqs;
    },
    answered(seqs, mutation, now) {
      const n = count(
        "INSERT INTO sendings (mutation, sent_at) VALUES (?, ?) RETURNING n",
        ...[mutation, now],
      );
      run(`UPDATE outside SET sending = ? WHERE seq ${listed}`, n, JSON.stringify(seqs));
    },

    awaited: (most) =>
      all<{ n: number; mutation: string; witness: number; state: VectorState }>(
        `SELECT s.n, s.mutation, max(o.seq) AS witness, o.state FROM (SELECT * FROM sendings ORDER BY n LIMIT ?) s
         JOIN outside o ON o.state IN ('sent', 'deleting') AND o.sending = s.n GROUP BY s.n ORDER BY s.n`,
        most,
      ).map(({ state, ...sending }) => ({ ...sending, deletes: state === "deleting" })),
    processedUpTo(mutation) {
      const last = count("SELECT max(n) AS n FROM sendings WHERE mutation = ?", mutation);
      if (last === 0) return false;
      for (const { n } of all<{ n: number }>("SELECT n FROM sendings WHERE n <= ?", last)) {
        processed(n);
      }
      return true;
    },
    processed,
  };
}
