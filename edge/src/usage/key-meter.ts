// The Durable Object that counts one key: its ledger, alone with a clock. One object for each key is what
// makes quotas exact, however many isolates serve it; its methods do not wait, so none sees another's half.
import { DurableObject } from "cloudflare:workers";
import type { KeyMeterCalls } from "./meter.ts";
import { createLedger, type Reservation } from "./ledger.ts";

type Answers = { [Name in keyof KeyMeterCalls]: Awaited<ReturnType<KeyMeterCalls[Name]>> };

export class KeyMeter extends DurableObject {
  readonly #ledger = createLedger(this.ctx.storage.sql);

  reserve(reservation: Reservation): Answers["reserve"] {
    return this.#ledger.reserve(reservation, Date.now());
  }
  settle(lease: string): Answers["settle"] {
    return this.#ledger.settle(lease, Date.now());
  }
  refund(lease: string): void {
    this.#ledger.refund(lease, Date.now());
  }
  days(from: string, to: string): Answers["days"] {
    return this.#ledger.days(from, to, Date.now());
  }
}
