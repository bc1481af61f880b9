// The registry as the rest of the Worker uses it: a heartbeat is verified here and told to the registry; what
// the registry lists becomes facts for the fleet.
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import {
  heartbeatSchema,
  heartbeatTag,
  type HeartbeatResponse,
} from "@blip2-edge/shared/wire/heartbeat";
import {
  createVerifier,
  type RequestToVerify,
  type SigningKey,
} from "@blip2-edge/shared/wire/signature";
import { announcedOrigin, type AllowedOrigin } from "./announcers.ts";
import type { NodeFacts } from "./fleet.ts";
import type { Announced, Heard, Listed } from "./roster.ts";

/** What the Durable Object can be asked (node-registry.ts). */
export interface RegistryCalls {
  hear(announced: Announced, aliveMs: number): Promise<Heard>;
  list(): Promise<Listed[]>;
}
/** The binding of the Durable Object's class. */
export interface Registries {
  getByName(name: string): RegistryCalls;
}

export interface Announcements {
  /**
   * Throws signature_invalid (the reason only in `internal`), forbidden, invalid_request, overloaded,
   * registry_unavailable, and what `readBody` throws.
   */
  hear(
    request: RequestToVerify,
    readBody: () => Promise<Uint8Array>,
  ): Promise<{ readonly node: string; readonly answer: HeartbeatResponse }>;
  /** Throws registry_unavailable. */
  list(now: number): Promise<NodeFacts[]>;
}

export interface AnnouncementOptions {
  readonly registries: Registries;
  readonly keys: readonly SigningKey[];
  readonly allowed: readonly AllowedOrigin[];
  /** How often a node is to be heard of. */
  readonly everyMs: number;
}

/** A node is gone when so many heartbeats in a row have not come. */
const missedBeats = 3;
/** A node that has so much of what it may take takes no more for now. */
const fullShare = 0.9;
const onlyOne = "nodes";

export function announcements(options: AnnouncementOptions): Announcements {
  const { registries, allowed, everyMs } = options;
  const ids = new Set(allowed.map(({ keyId }) => keyId));
  const keys = options.keys.filter(({ id }) => ids.has(id));
  const verifier = keys.length === 0 ? undefined : createVerifier({ keys, tag: heartbeatTag });
  const registry = () => registries.getByName(onlyOne);

  async function told<Result>(asked: Promise<Result>): Promise<Result> {
    try {
      return await asked;
    } catch (cause) {
      throw new AppError("registry_unavailable", "The registry cannot be reached now. Try again.", {
        cause,
        retryAfterS: 1,
      });
    }
  }

  return {
    async hear(request, readBody) {
      if (verifier === undefined)
        throw refused("ANNOUNCE_ORIGINS allows nobody to announce a node");
      const { body, keyId } = await verifier.identify(request, readBody);
      const heartbeat = parseOrRefuse(heartbeatSchema, jsonOf(body));
      const url = announcedOrigin(allowed, keyId, heartbeat.url);
      if (url === undefined) {
        throw new AppError(
          "forbidden",
          `The key ${keyId} may not announce ${heartbeat.url}. ANNOUNCE_ORIGINS of the Worker says what it may.`,
        );
      }
      const aliveMs = missedBeats * everyMs + everyMs / 2;
      const heard = await told(registry().hear({ url, keyId, heartbeat }, aliveMs));
      if (heard === "stale") throw refused("it was heard already, or a later one of this node was");
      if (heard === "full") {
        throw new AppError("overloaded", "The registry holds as many nodes as it may.", {
          retryAfterS: 60,
        });
      }
      return { node: url, answer: { next_ms: everyMs } };
    },
    async list(now) {
      const listed = await told(registry().list());
      return listed.map(factsOf(now));
    },
  };
}

const factsOf =
  (now: number) =>
  ({ url, keyId, agoMs, heartbeat }: Listed): NodeFacts => {
    const { capacity, load, models, started_at: startedAt, state } = heartbeat;
    const rests =
      state !== "ready" ||
      load.jobs >= fullShare * capacity.max_jobs ||
      load.work_ms >= fullShare * capacity.max_work_ms;
    return {
      ...{ url, keyId, models, startedAt, rests },
      weight: capacity.weight,
      heardAt: now - agoMs,
    };
  };

const refused = (internal: string): AppError => new AppError("signature_invalid", "", { internal });

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body));
  } catch (cause) {
    throw new AppError("invalid_request", "The heartbeat is not valid JSON.", { cause });
  }
}
