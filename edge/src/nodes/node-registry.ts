// The Durable Object to which nodes announce themselves: the registry, alone with a clock. There is one of it.
// Who signed what is checked before it is called; it is not reachable from the world.
import { DurableObject } from "cloudflare:workers";
import { createRegistry, type Registry } from "./registry.ts";

type Args<Name extends keyof Registry> = Parameters<Registry[Name]>;
type Answer<Name extends keyof Registry> = ReturnType<Registry[Name]>;

export class NodeRegistry extends DurableObject {
  readonly #registry = createRegistry(this.ctx.storage.sql, Date.now);

  hear(...args: Args<"hear">): Answer<"hear"> {
    return this.#registry.hear(...args);
  }
  list(): Answer<"list"> {
    return this.#registry.list();
  }
  hearMember(...args: Args<"hearMember">): Answer<"hearMember"> {
    return this.#registry.hearMember(...args);
  }
  offer(...args: Args<"offer">): Answer<"offer"> {
    return this.#registry.offer(...args);
  }
  join(...args: Args<"join">): Answer<"join"> {
    return this.#registry.join(...args);
  }
  rotate(...args: Args<"rotate">): Answer<"rotate"> {
    return this.#registry.rotate(...args);
  }
  remove(...args: Args<"remove">): Answer<"remove"> {
    return this.#registry.remove(...args);
  }
  everyone(): Answer<"everyone"> {
    return this.#registry.everyone();
  }
}
