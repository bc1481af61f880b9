// Which models there are, at which revision and size: asked of the nodes, believed for a short while, and
// kept as a stale copy, so that cached answers are served while no node answers. To ask a node for it is
// also how a node is checked that was taken out of the rotation.
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import {
  type Ability,
  catalogSchema,
  type Catalog,
  type CatalogModel,
} from "@blip2-edge/shared/wire/protocol";
import pMap from "p-map";
import { describeError } from "../log.ts";
import { unavailable, type Exchange } from "./exchange.ts";
import type { Fleet, NodeFacts } from "./fleet.ts";
import { mergeCatalogs } from "./merge-catalogs.ts";
import type { NodeAddress } from "./node-exchanges.ts";

/** Plain data of one isolate. */
export interface CatalogMemory {
  known: Catalog | undefined;
  /** Do not ask the nodes before this time. */
  askAgainAt: number;
  /** Nor the registry before this one. */
  listAgainAt: number;
}
export const catalogMemory = (): CatalogMemory => ({
  known: undefined,
  askAgainAt: 0,
  listAgainAt: 0,
});

/** Where nodes are listed that announce themselves. */
export interface NodeList {
  list(now: number): Promise<NodeFacts[]>;
  /** How long a list is believed. */
  readonly ttlMs: number;
}

export interface CatalogOptions {
  readonly fleet: Fleet;
  /** Those that the configuration names; they are asked for what they hold. */
  readonly fixed: readonly NodeFacts[];
  /** Those that announce themselves say it with every heartbeat. */
  readonly announced?: NodeList | undefined;
  readonly exchangeWith: (node: NodeAddress) => Exchange;
  readonly memory: CatalogMemory;
  /** Where the last known catalogue survives an isolate. */
  readonly backup: { read(): Promise<string | null>; write(text: string): Promise<void> };
  readonly ttlMs: number;
  /** For asking one node. */
  readonly timeoutMs: number;
  /** How long a request waits for the slower nodes when something is known already. */
  readonly patienceMs?: number;
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
  /** The same, but asks the nodes now, whatever is believed. */
  readonly resolveFresh: Resolve;
}

const can = (model: CatalogModel, ability: Ability): boolean => model.abilities.includes(ability);

/** After a failure of all of them they are left alone this long, so that dead ones cost hits nothing. */
const pauseAfterFaultMs = 2000;
/** A Worker's request has six connections at a time. */
const askedAtATime = 5;
const catalogRequest = {
  method: "GET",
  path: "/v1/catalog",
  contentType: undefined,
  body: undefined,
} as const;

export function models(options: CatalogOptions): Models {
  const { fleet, exchangeWith, memory, backup, ttlMs, timeoutMs, later, onFault } = options;
  const { fixed, announced, patienceMs = 300, now = Date.now } = options;

  async function fromBackup(): Promise<Catalog | undefined> {
    try {
      const text = await backup.read();
      return text === null ? undefined : catalogSchema.safeParse(JSON.parse(text)).data;
    } catch {
      return undefined;
    }
  }

  /** Asks one node what it holds; the fleet hears that it lives. Tells whether it answered. */
  async function check(node: NodeFacts, signal: AbortSignal): Promise<boolean> {
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const told = catalogSchema.parse(await exchangeWith(node)(catalogRequest, bounded));
      fleet.checked(node.url, told.models, now());
      return true;
    } catch (error) {
      if (!signal.aborted) onFault(`${node.url}: ${describeError(error)}`);
      return false;
    }
  }

  /** Puts what the nodes hold together, and keeps it when it is something else than before. */
  function merge(): void {
    const nodes = fleet.nodes().flatMap(({ weight, models: held, url }) => {
      return held === undefined ? [] : [{ url, weight, models: held }];
    });
    if (nodes.length === 0) return;
    const outUrls = new Set(
      fleet.state(now()).flatMap(({ url, out }) => (out === undefined ? [] : [url])),
    );
    const inside = nodes.filter(({ url }) => !outUrls.has(url));
    const fresh = mergeCatalogs(inside.length === 0 ? nodes : inside, memory.known);
    if (JSON.stringify(fresh) === JSON.stringify(memory.known)) return;
    memory.known = fresh;
    later(
      backup.write(JSON.stringify(fresh)).catch((error: unknown) => onFault(describeError(error))),
    );
  }

  /** Hears of the nodes that announce themselves. While the registry is away, the last list stands. */
  async function readList({ list, ttlMs: listTtlMs }: NodeList): Promise<void> {
    // Others need not ask meanwhile, unless they have nothing to go by.
    if (memory.known !== undefined) memory.listAgainAt = now() + listTtlMs;
    try {
      const listed = await list(now());
      const urls = new Set(listed.map(({ url }) => url));
      fleet.setNodes([...fixed.filter(({ url }) => !urls.has(url)), ...listed], now());
      merge();
    } catch (error) {
      onFault(describeError(error));
    }
    memory.listAgainAt = now() + listTtlMs;
  }

  /** Asks the nodes that do not say by themselves what they hold, and `others`. */
  async function refresh(signal: AbortSignal, others: readonly NodeFacts[] = []): Promise<void> {
    // The same here.
    if (memory.known !== undefined) memory.askAgainAt = now() + timeoutMs;
    const listed = fleet.nodes().filter(({ heardAt }) => heardAt === undefined);
    const left = [...listed, ...others.filter(({ heardAt }) => heardAt !== undefined)];
    if (left.length === 0) {
      memory.askAgainAt = now() + ttlMs;
      return;
    }
    const answers = await pMap(left, (node) => check(node, signal), { concurrency: askedAtATime });
    merge();
    // A request that ended in the middle says nothing of the nodes.
    const pauseMs = answers.includes(true) ? ttlMs : signal.aborted ? 0 : pauseAfterFaultMs;
    memory.askAgainAt = now() + pauseMs;
  }

  async function all(signal: AbortSignal, fresh = false): Promise<Catalog> {
    if (announced !== undefined && (fresh || now() >= memory.listAgainAt)) {
      const reading = readList(announced);
      if (memory.known === undefined || fresh) await reading;
      else later(reading);
    }
    if (fresh || now() >= memory.askAgainAt) {
      // A node that has just been changed may not have said so yet.
      const refreshing = refresh(signal, fresh ? fleet.checksDue(now()) : []);
      if (memory.known === undefined || fresh) {
        await refreshing;
      } else {
        // The slowest of many nodes must not hold up who can be answered with what is known.
        later(refreshing);
        await Promise.race([refreshing, patience()]);
      }
      signal.throwIfAborted();
    } else {
      for (const node of fleet.checksDue(now())) later(check(node, signal).then(merge));
    }
    memory.known ??= await fromBackup();
    if (memory.known === undefined) throw unavailable("no catalogue, not even an old one");
    return memory.known;
  }
  const patience = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, patienceMs));

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
    all: (signal) => all(signal),
    resolve: async (name, ability, signal) => pick(await all(signal), name, ability),
    resolveFresh: async (name, ability, signal) => pick(await all(signal, true), name, ability),
  };
}
