// The Durable Object to which nodes announce themselves: the roster, alone with a clock. There is one of it.
// Who signed what is checked before it is called; it is not reachable from the world.
import { DurableObject } from "cloudflare:workers";
import { createRoster, type Announced, type Heard, type Listed } from "./roster.ts";

export class NodeRegistry extends DurableObject {
  readonly #roster = createRoster(this.ctx.storage.sql);

  hear(announced: Announced, aliveMs: number): Heard {
    return this.#roster.hear(announced, aliveMs, Date.now());
  }
  list(): Listed[] {
    return this.#roster.list(Date.now());
  }
}
