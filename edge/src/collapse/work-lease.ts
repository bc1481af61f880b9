// The Durable Object of one piece of work: its desk, alone. All who wait for it wait inside this one object,
// where that is allowed: an isolate's requests may not wait for each other.
import { DurableObject } from "cloudflare:workers";
import type { WorkLeaseCalls } from "./collapse.ts";
import { workDesk, type Asked, type Failure, type Outcome } from "./desk.ts";

type Answers = { [Name in keyof WorkLeaseCalls]: Awaited<ReturnType<WorkLeaseCalls[Name]>> };

export class WorkLease extends DurableObject {
  readonly #desk = workDesk();

  join(asked: Asked): Answers["join"] {
    return this.#desk.join(asked);
  }
  wait(asked: Asked, waitMs: number): Promise<Answers["wait"]> {
    return this.#desk.wait(asked, waitMs);
  }
  renew(ticket: string): Answers["renew"] {
    return this.#desk.renew(ticket);
  }
  finish(ticket: string, outcome: Outcome): void {
    this.#desk.finish(ticket, outcome);
  }
  fail(ticket: string, failure?: Failure): void {
    this.#desk.fail(ticket, failure);
  }
}
