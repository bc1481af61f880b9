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
  /** Throws model_not_found, invalid_request (the one named lacks the ability), node_unavailable. */
  readonly resolve: Resolve;
  /** The same, but asks the node now, whatever is believed. */
  readonly resolveFresh: Resolve;
}

const can = (model: CatalogModel, ability: Ability): boolean => model.abilities.includes(ability);

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

  /** None is named: the configured model or else the first, if it can do it; else the first that can. */
  function pickDefault({ models: entries }: Catalog, ability: Ability): CatalogModel {
    const [first] = entries;
    if (first === undefined) throw unavailable("the catalogue is empty");
    const configured = entries.find(({ model }) => model === options.defaultModel);
    if (options.defaultModel !== undefined && configured === undefined) {
      onFault(`DEFAULT_MODEL names ${JSON.stringify(options.defaultModel)}, which no node has`);
    }
    const able = [configured ?? first, ...entries].find((entry) => can(entry, ability));
    if (able !== undefined) return able;
    throw new AppError(
      "model_not_found",
      `No model here can do ${ability}. GET /v1/models lists what each can do.`,
    );
  }

  function pick(catalog: Catalog, name: string | undefined, ability: Ability): CatalogModel {
    if (name === undefined) return pickDefault(catalog, ability);
    const model = catalog.models.find((entry) => entry.model === name);
    if (model === undefined) {
      throw new AppError(
        "model_not_found",
        `There is no model ${JSON.stringify(name)}. GET /v1/models lists those that there are.`,
      );
    }
    if (can(model, ability)) return model;
    const able = catalog.models.filter((entry) => can(entry, ability)).map((entry) => entry.model);
    const others = able.length === 0 ? "no model here can" : `${able.join(", ")} can`;
    throw invalidRequest([
      { field: "model", message: `names one that cannot do ${ability}; ${others}` },
    ]);
  }

  return {
    all,
    resolve: async (name, ability, signal) => pick(await all(signal), name, ability),
    async resolveFresh(name, ability, signal) {
      memory.askAgainAt = 0;
      return pick(await all(signal), name, ability);
    },
  };
}
