// The registry of nodes in memory, asked as the Worker asks its Durable Object.
import type { AskRegistry } from "../../edge/src/nodes/registries.ts";
import { createRegistry } from "../../edge/src/nodes/registry.ts";
import { memorySql } from "./sqlite.ts";

export function memoryRegistry(now: () => number = Date.now): AskRegistry {
  const registry = createRegistry(memorySql(), now);
  return (ask) =>
    ask({
      hear: async (...args) => registry.hear(...args),
      list: async () => registry.list(),
      hearMember: async (...args) => registry.hearMember(...args),
      offer: async (...args) => registry.offer(...args),
      join: async (...args) => registry.join(...args),
      rotate: async (...args) => registry.rotate(...args),
      remove: async (...args) => registry.remove(...args),
      everyone: async () => registry.everyone(),
    });
}
