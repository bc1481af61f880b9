// The vectors of a namespace that lie outside, in Vectorize, or are on their way there or back: rows beside the index's
// own, changed in the same transactions. They are the outbox (what is to be written is a row, so nothing is forgotten)
// and the list of what a search must compare itself. A vector passes through the states of VectorState in their order;
// one whose picture is gone goes on to the end, so that a deletion is never asked before what it deletes is there.
import type { CandidateStore } from "@blip2-edge/shared/contracts/candidates";
import { statements, type IndexSql } from "./index-sql.ts";

/** `leaving`: to be deleted. `sent` and `deleting` without a sending: asked, and the answer is not here (yet). */
export type VectorState = "new" | "sent" | "there" | "leaving" | "deleting";

export interface OutsideState {
  /** What searches ask. */
  readonly store: CandidateStore;
  readonly target: CandidateStore;
  /** Empty until the first move. */
  readonly place: string;
}

export interface OutsideTables {
  state(): OutsideState;
  /** Pictures that Vectorize may not find yet, vectors that are to be deleted there. */
  waitingCount(): number;
  leavingCount(): number;
  hasWork(): boolean;
  /** To Vectorize: every picture waits. Back: searches ask the index at once, and every vector leaves. */
  move(target: CandidateStore, drawPlace: () => string): void;
  /** Searches follow to Vectorize when so few wait; true when they just did. */
  follow(fewWaiting: number): boolean;
  /** In the transaction that adds the picture, takes it away. */
  added(picture: number): void;
  dropped(picture: number): void;
  /** Those of the vectors that have a picture; `strays` are nobody's. */
  picturesOf(seqs: readonly number[]): {
    readonly pictures: readonly number[];
    readonly strays: readonly number[];
  };
  /** Vectors that should not be there. */
  retract(seqs: readonly number[]): void;
  waiting(): number[];
  /** Whether any vector is known to be in Vectorize. */
  isAnyThere(): boolean;
}

/** Rows of the index's own tables hang on these, so both are made at once. */
export function createOutsideTables(sql: IndexSql): void {
  for (const statement of [
    `CREATE TABLE IF NOT EXISTS candidates (
       one INTEGER PRIMARY KEY CHECK (one = 1), store TEXT NOT NULL, target TEXT NOT NULL, place TEXT NOT NULL
     ) STRICT`,
    // A number is a vector's name outside, so none is ever used again.
    `CREATE TABLE IF NOT EXISTS outside (
       seq INTEGER PRIMARY KEY AUTOINCREMENT, picture INTEGER UNIQUE, state TEXT NOT NULL, sending INTEGER
     ) STRICT`,
    `CREATE INDEX IF NOT EXISTS outside_by_state ON outside (state, sending)`,
    // A call that was answered, until its mutation is processed.
    `CREATE TABLE IF NOT EXISTS sendings (
       n INTEGER PRIMARY KEY AUTOINCREMENT, mutation TEXT NOT NULL, sent_at INTEGER NOT NULL
     ) STRICT`,
  ]) {
    sql.exec(statement).toArray();
  }
}

const unmoved: OutsideState = { store: "embedded", target: "embedded", place: "" };

export function outsideTables(sql: IndexSql): OutsideTables {
  const { all, run, count } = statements(sql);
  const listed = "IN (SELECT value FROM json_each(?))";
  /** Of rows that have a picture to lose. */
  const withoutPicture = `picture = NULL, state = CASE state WHEN 'there' THEN 'leaving' ELSE state END`;
  let known: OutsideState | undefined;
  function state(): OutsideState {
    known ??= all<OutsideState>("SELECT store, target, place FROM candidates")[0] ?? unmoved;
    return known;
  }
  function write({ store, target, place }: OutsideState): void {
    run(
      `INSERT INTO candidates (one, store, target, place) VALUES (1, ?, ?, ?) ON CONFLICT (one) DO UPDATE SET
         store = excluded.store, target = excluded.target, place = excluded.place`,
      ...[store, target, place],
    );
    known = undefined;
  }
  const waitingCount = () =>
    count(
      "SELECT count(*) AS n FROM outside WHERE state IN ('new', 'sent') AND picture IS NOT NULL",
    );

  return {
    state,
    waitingCount,
    leavingCount: () =>
      count(
        "SELECT count(*) AS n FROM outside WHERE state IN ('sent', 'leaving', 'deleting') AND picture IS NULL",
      ),
    hasWork: () =>
      count(
        "SELECT EXISTS (SELECT 1 FROM outside WHERE state IN ('new', 'sent', 'leaving', 'deleting')) AS n",
      ) === 1,

    move(target, drawPlace) {
      const { target: before, place } = state();
      if (target === before) return;
      if (target === "embedded") {
        run("DELETE FROM outside WHERE state = 'new'");
        run(`UPDATE outside SET ${withoutPicture} WHERE picture IS NOT NULL`);
        write({ store: "embedded", target, place });
        return;
      }
      run("INSERT INTO outside (picture, state) SELECT key, 'new' FROM pictures ORDER BY key");
      write({ store: "embedded", target, place: place === "" ? drawPlace() : place });
    },
    follow(fewWaiting) {
      const { store, target, place } = state();
      if (store === target || waitingCount() > fewWaiting) return false;
      write({ store: target, target, place });
      return true;
    },

    added(picture) {
      if (state().target === "embedded") return;
      run("INSERT INTO outside (picture, state) VALUES (?, 'new')", picture);
    },
    dropped(picture) {
      run("DELETE FROM outside WHERE picture = ? AND state = 'new'", picture);
      run(`UPDATE outside SET ${withoutPicture} WHERE picture = ?`, picture);
    },

    picturesOf(seqs) {
      const rows = all<{ seq: number; picture: number | null }>(
        `SELECT seq, picture FROM outside WHERE seq ${listed}`,
        JSON.stringify(seqs),
      );
      const mine = new Set(rows.map(({ seq }) => seq));
      return {
        pictures: rows.flatMap(({ picture }) => picture ?? []),
        strays: seqs.filter((seq) => !mine.has(seq)),
      };
    },
    retract: (seqs) =>
      run(
        `INSERT INTO outside (seq, state) SELECT value, 'leaving' FROM json_each(?) WHERE true ON CONFLICT DO NOTHING`,
        JSON.stringify(seqs),
      ),
    isAnyThere: () =>
      count("SELECT EXISTS (SELECT 1 FROM outside WHERE state = 'there') AS n") === 1,
    waiting: () =>
      all<{ picture: number }>(
        "SELECT picture FROM outside WHERE state IN ('new', 'sent') AND picture IS NOT NULL",
      ).map(({ picture }) => picture),
  };
}
