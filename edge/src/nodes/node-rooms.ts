// The room put together: where nodes are, which one is asked, what they hold. Its memory lives as long as
// the isolate and is plain data; what needs a request is made for it.
import type { SigningKey } from "@blip2-edge/shared/wire/signature";
import { announcements, type Announcements } from "./announcements.ts";
import type { AllowedOrigin } from "./announcers.ts";
import { nodeAsker, type AskNode } from "./ask.ts";
import { catalogMemory, models, type CatalogOptions, type Models } from "./catalog.ts";
import type { Fetch, TracedExchange } from "./exchange.ts";
import { createFleet, staticNodes, type NodeChange } from "./fleet.ts";
import { heldImages } from "./held-images.ts";
import { joinedKeys } from "./joined-keys.ts";
import { nodeExchanges } from "./node-exchanges.ts";
import { nodeMembers, type NodeMembers } from "./node-members.ts";
import { registryAsker, type Registries } from "./registries.ts";

/** The settings of the room (config.ts). */
export interface NodeSettings {
  readonly NODE_URL: readonly string[];
  readonly NODE_KEYS: readonly SigningKey[];
  readonly ANNOUNCE_ORIGINS: readonly AllowedOrigin[];
  readonly HEARTBEAT_MS: number;
  readonly NODE_LIST_TTL_MS: number;
  readonly NODE_ATTEMPT_WAIT_MS: number;
  readonly NODE_MAX_IN_FLIGHT: number;
  readonly NODE_QUEUE_MS: number;
  readonly NODE_HEDGE_PERCENT: number;
  readonly CATALOG_TTL_MS: number;
  readonly CATALOG_TIMEOUT_MS: number;
  readonly DEFAULT_MODEL?: string | undefined;
  /** Nodes join where an operator can let them. */
  readonly OPERATOR_KEYS: readonly string[];
  /** Their keys are made of it. */
  readonly PARTITION_SECRET: string;
}

export interface NodeRoomsOptions {
  readonly settings: NodeSettings;
  readonly fetch: Fetch;
  readonly registries: Registries;
  /** Where the last known catalogue survives an isolate. */
  readonly backup: CatalogOptions["backup"];
  readonly tell: (change: NodeChange) => void;
}

/** What of a request asking for the catalogue takes. */
export interface CatalogRequest extends Pick<CatalogOptions, "later" | "onFault"> {
  readonly time: <Result>(work: (traced: TracedExchange) => Promise<Result>) => Promise<Result>;
}

export interface NodeRooms {
  readonly announcements: Announcements;
  readonly members: NodeMembers;
  readonly askNode: AskNode;
  modelsFor(request: CatalogRequest): Models;
}

export function nodeRooms(options: NodeRoomsOptions): NodeRooms {
  const { settings, fetch, registries, backup, tell } = options;
  const { NODE_KEYS: keys, ANNOUNCE_ORIGINS: allowed, OPERATOR_KEYS: operators } = settings;
  const joined = operators.length === 0 ? undefined : joinedKeys(settings.PARTITION_SECRET);
  const askRegistry = registryAsker(registries);
  const exchangeWith = nodeExchanges({ keys, joined, fetch });
  const everyMs = settings.HEARTBEAT_MS;
  const announced = announcements({ askRegistry, keys, allowed, joined, everyMs });
  const list =
    allowed.length === 0 && joined === undefined
      ? undefined
      : { list: announced.list, ttlMs: settings.NODE_LIST_TTL_MS };
  const policy = {
    maxInFlight: settings.NODE_MAX_IN_FLIGHT,
    hedgeShare: settings.NODE_HEDGE_PERCENT / 100,
  };
  const fleet = createFleet(policy, tell);
  const fixed = staticNodes(settings.NODE_URL);
  fleet.setNodes(fixed, Date.now());
  const memory = catalogMemory();

  return {
    announcements: announced,
    members: nodeMembers({ askRegistry, joined, listed: settings.NODE_URL, allowed }),
    askNode: nodeAsker({
      fleet,
      exchangeWith,
      held: heldImages(),
      retryWaitMs: settings.NODE_ATTEMPT_WAIT_MS,
      queueMs: settings.NODE_QUEUE_MS,
    }),
    modelsFor: ({ time, later, onFault }) =>
      models({
        ...{ fleet, fixed, memory, backup, later, onFault },
        announced: list,
        exchangeWith: (node) => (request, signal) =>
          time((traced) => exchangeWith(node)({ ...request, traced }, signal)),
        ttlMs: settings.CATALOG_TTL_MS,
        timeoutMs: settings.CATALOG_TIMEOUT_MS,
        defaultModel: settings.DEFAULT_MODEL,
      }),
  };
}
