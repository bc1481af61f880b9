// The Durable Object that holds one namespace of one tenant: its index, alone with storage. Its name is made of
// both (indexName), and nothing in it names another, so what is put into one can be found in no other. Its alarm is the
// clock of what is written to Vectorize, where one is bound.
import { toHex } from "@blip2-edge/shared/hex";
import { DurableObject } from "cloudflare:workers";
import type { Bindings } from "../bindings.ts";
import { writeEvent } from "../log.ts";
import { candidateIndex, type CandidateIndex } from "./candidate-index.ts";

type Asked<Name extends keyof CandidateIndex> = Parameters<CandidateIndex[Name]>;
type Told<Name extends keyof CandidateIndex> = ReturnType<CandidateIndex[Name]>;

export class NamespaceIndex extends DurableObject<Pick<Bindings, "VECTORIZE">> {
  /** When the alarm was set for, as far as this object knows; storage alone knows it after a restart. */
  #alarmAt = 0;
  readonly #index = candidateIndex({
    sql: this.ctx.storage.sql,
    atomically: (work) => this.ctx.storage.transactionSync(work),
    vectors: this.env.VECTORIZE,
    wake: (inMs) => this.#wake(inMs),
    drawPlace: () => toHex(crypto.getRandomValues(new Uint8Array(16))),
    now: Date.now,
    tell: (event) => writeEvent(event, (line) => console.log(line)),
  });

  /** Set in the turn of the change, so that storage takes both or neither. */
  #wake(inMs: number): void {
    const now = Date.now();
    if (this.#alarmAt > now && this.#alarmAt <= now + inMs) return;
    this.#alarmAt = now + inMs;
    void this.ctx.storage.setAlarm(this.#alarmAt);
  }
  override async alarm(): Promise<void> {
    const againMs = await this.#index.pump();
    if (againMs !== undefined) this.#wake(againMs);
  }

  describe(): Told<"describe"> {
    return this.#index.describe();
  }
  configure(...asked: Asked<"configure">): Told<"configure"> {
    return this.#index.configure(...asked);
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
  candidates(): Told<"candidates"> {
    return this.#index.candidates();
  }
  moveCandidates(...asked: Asked<"moveCandidates">): Told<"moveCandidates"> {
    return this.#index.moveCandidates(...asked);
  }
}
