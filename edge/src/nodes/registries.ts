// The way to the registry, of which there is one: a call of the Durable Object, and what its absence is to a caller.
import { AppError } from "@blip2-edge/shared/problem";
import type { RegistryCalls } from "./registry.ts";

/** The binding of the Durable Object's class. */
export interface Registries {
  getByName(name: string): RegistryCalls;
}

/** Throws registry_unavailable. */
export type AskRegistry = <Result>(
  ask: (registry: RegistryCalls) => Promise<Result>,
) => Promise<Result>;

const onlyOne = "nodes";

export const registryAsker =
  (registries: Registries): AskRegistry =>
  async (ask) => {
    try {
      return await ask(registries.getByName(onlyOne));
    } catch (cause) {
      throw new AppError("registry_unavailable", "The registry cannot be reached now. Try again.", {
        cause,
        retryAfterS: 1,
      });
    }
  };

export const registryFull = (): AppError =>
  new AppError("overloaded", "The registry holds as many nodes as it may.", { retryAfterS: 60 });
