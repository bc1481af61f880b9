// The Durable Object that holds one namespace of one tenant: its index, alone with storage. Its name is made of
// both (indexName), and nothing in it names another, so what is put into one can be found in no other.
import { DurableObject } from "cloudflare:workers";
import { sqlIndex, type SqlIndex } from "./sql-index.ts";

/** Averages of so many fit into the object's memory beside all else. */
const maxRecords = 200_000;

type Asked<Name extends keyof SqlIndex> = Parameters<SqlIndex[Name]>;
type Told<Name extends keyof SqlIndex> = ReturnType<SqlIndex[Name]>;

export class NamespaceIndex extends DurableObject {
  readonly #index = sqlIndex({
    sql: this.ctx.storage.sql,
    atomically: (work) => this.ctx.storage.transactionSync(work),
    maxRecords,
  });

  describe(): Told<"describe"> {
    return this.#index.describe();
  }
  put(...asked: Asked<"put">): Told<"put"> {
    return this.#index.put(...asked);
  }
  read(...asked: Asked<"read">): Told<"read"> {
    return this.#index.read(...asked);
  }
  list(...asked: Asked<"list">): Told<"list"> {
    return this.#index.list(...asked);
  }
  newest(...asked: Asked<"newest">): Told<"newest"> {
    return this.#index.newest(...asked);
  }
  update(...asked: Asked<"update">): Told<"update"> {
    return this.#index.update(...asked);
  }
  remove(...asked: Asked<"remove">): Told<"remove"> {
    return this.#index.remove(...asked);
  }
  clear(...asked: Asked<"clear">): Told<"clear"> {
    return this.#index.clear(...asked);
  }
  rank(...asked: Asked<"rank">): Told<"rank"> {
    return this.#index.rank(...asked);
  }
}
