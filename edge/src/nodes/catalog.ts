// Which models there are, at which revision and size: asked of the node, believed for a short while, and
// kept as a stale copy, so that cached answers are served while the node is down.
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import {
  type Ability,
  catalogSchema,
  type Catalog,
  type CatalogModel,
} from "@blip2-edge/shared/wire/protocol";
import { describeError } from "../log.ts";
import { unavailable, type Exchange } from "./exchange.ts";

/** Plain data of one isolate. */
export interface CatalogMemory {
  known: Catalog | undefined;
  /** Do not ask the node before this time. */
  askAgainAt: number;
}
export const catalogMemory = (): CatalogMemory => ({ known: undefined, askAgainAt: 0 });

export interface CatalogOptions {
  readonly exchange: Exchange;
  readonly memory: CatalogMemory;
  /** Where the last known catalogue survives an isolate. */
  readonly backup: { read(): Promise<string | null>; write(text: string): Promise<void> };
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly defaultModel: string | undefined;
  readonly later: (work: Promise<unknown>) => void;
  readonly onFault: (why: string) => void;
  readonly now?: () => number;
}

type Resolve = (
  name: string | undefined,
  ability: Ability,
  signal: AbortSignal,
) => Promise<CatalogModel>;

export interface Models {
  all(signal: AbortSignal): Promise<Catalog>;
  /** Throws model_not_found, invalid_request (it lacks the ability), node_unavailable. */
  readonly resolve: Resolve;
  /** The same, but asks the node now, whatever is believed. */
  readonly resolveFresh: Resolve;
}

/** After a failure the node is left alone this long, so that a dead one costs hits nothing. */
const pauseAfterFaultMs = 2000;

export function models(options: CatalogOptions): Models {
  const { exchange, memory, backup, ttlMs, timeoutMs, later, onFault, now = Date.now } = options;

  async function fromBackup(): Promise<Catalog | undefined> {
    try {
      const text = await backup.read();
      return text === null ? undefined : catalogSchema.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  }

  async function refresh(signal: AbortSignal): Promise<Catalog> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const request = {
      method: "GET",
      path: "/v1/catalog",
      contentType: undefined,
      body: undefined,
    } as const;
    const fresh = catalogSchema.parse(await exchange(request, bounded));
    if (JSON.stringify(fresh) !== JSON.stringify(memory.known)) {
      later(
        backup
          .write(JSON.stringify(fresh))
          .catch((error: unknown) => onFault(describeError(error))),
      );
    }
    memory.known = fresh;
    memory.askAgainAt = now() + ttlMs;
    return fresh;
  }

  async function all(signal: AbortSignal): Promise<Catalog> {
    if (memory.known !== undefined && now() < memory.askAgainAt) return memory.known;
    if (now() >= memory.askAgainAt) {
      try {
        return await refresh(signal);
      } catch (error) {
        signal.throwIfAborted();
        memory.askAgainAt = now() + pauseAfterFaultMs;
        onFault(describeError(error));
      }
    }
    memory.known ??= await fromBackup();
    if (memory.known === undefined) throw unavailable("no catalogue, not even an old one");
    return memory.known;
  }

  const pick = (catalog: Catalog, name: string | undefined, ability: Ability): CatalogModel => {
    const wanted = name ?? options.defaultModel ?? catalog.models[0]?.model;
    const model = catalog.models.find((entry) => entry.model === wanted);
    if (wanted === undefined) throw unavailable("the catalogue is empty");
    if (model === undefined) {
      throw new AppError(
        "model_not_found",
        `There is no model ${JSON.stringify(wanted)}. GET /v1/models lists those that there are.`,
      );
    }
    if (!model.abilities.includes(ability)) {
      throw invalidRequest([{ field: "model", message: `names one that cannot do ${ability}` }]);
    }
    return model;
  };

  return {
    all,
    resolve: async (name, ability, signal) => pick(await all(signal), name, ability),
    async resolveFresh(name, ability, signal) {
      memory.askAgainAt = 0;
      return pick(await all(signal), name, ability);
    },
  };
}
