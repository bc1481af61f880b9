// The registry as the rest of the Worker uses it: a heartbeat is verified here and told to the registry; what
// the registry lists becomes facts for the fleet. A node announces itself with a key of the settings, which say where,
// or with one that it got by joining, of which the registry knows where and whether it still holds.
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import {
  heartbeatSchema,
  heartbeatTag,
  type Heartbeat,
  type HeartbeatResponse,
} from "@blip2-edge/shared/wire/heartbeat";
import {
  createVerifier,
  type RequestToVerify,
  type SigningKey,
} from "@blip2-edge/shared/wire/signature";
import { registryFull } from "./registries.ts";
import { announcedOrigin, type AllowedOrigin } from "./announcers.ts";
import type { NodeFacts } from "./fleet.ts";
import type { JoinedKeys } from "./joined-keys.ts";
import type { HeardMember } from "./registry.ts";
import type { AskRegistry } from "./registries.ts";
import type { Listed } from "./roster.ts";

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
  readonly askRegistry: AskRegistry;
  readonly keys: readonly SigningKey[];
  readonly allowed: readonly AllowedOrigin[];
  /** Keys of nodes that joined; undefined where none may. */
  readonly joined?: Pick<JoinedKeys, "find" | "secretOf"> | undefined;
  /** How often a node is to be heard of. */
  readonly everyMs: number;
}

/** A node is gone when so many heartbeats in a row have not come. */
const missedBeats = 3;
/** A node that has so much of what it may take takes no more for now. */
const fullShare = 0.9;

export function announcements(options: AnnouncementOptions): Announcements {
  const { askRegistry, allowed, joined, everyMs } = options;
  const aliveMs = missedBeats * everyMs + everyMs / 2;
  const ids = new Set(allowed.map(({ keyId }) => keyId));
  const keys = options.keys.filter(({ id }) => ids.has(id));
  const verifier =
    keys.length === 0 && joined === undefined
      ? undefined
      : createVerifier({
          keys,
          tag: heartbeatTag,
          ...(joined === undefined ? {} : { find: joined.find }),
        });

  /** Of a node that the settings allow. */
  async function hearAllowed(keyId: string, heartbeat: Heartbeat) {
    const url = announcedOrigin(allowed, keyId, heartbeat.url);
    if (url === undefined) {
      throw new AppError(
        "forbidden",
        `The key ${keyId} may not announce ${heartbeat.url}. ANNOUNCE_ORIGINS of the Worker says what it may.`,
      );
    }
    const heard = await askRegistry((registry) =>
      registry.hear({ url, keyId, heartbeat }, aliveMs),
    );
    if (heard !== "heard") throw notHeard(heard);
    return { node: url, answer: { next_ms: everyMs } };
  }

  /** Of a node that joined. */
  async function hearMember(
    { secretOf }: Pick<JoinedKeys, "secretOf">,
    keyId: string,
    heartbeat: Heartbeat,
  ) {
    const heard = await askRegistry((registry) =>
      registry.hearMember({ keyId, heartbeat }, aliveMs),
    );
    if (heard.kind === "sent_away") {
      return { node: heartbeat.url, answer: { next_ms: everyMs, leave: true } };
    }
    if (heard.kind === "elsewhere") {
      throw new AppError(
        "forbidden",
        `The key ${keyId} may announce ${heard.origin}, and no address of another node; it announced ${heartbeat.url}.`,
      );
    }
    if (heard.kind !== "heard") throw notHeard(heard.kind);
    const [newest] = heard.keyIds;
    return {
      node: heard.url,
      answer: {
        next_ms: everyMs,
        key_ids: [...heard.keyIds],
        // A heartbeat is heard once, so that nobody gets it by sending one again.
        ...(newest === keyId ? {} : { new_key: { id: newest, secret: await secretOf(newest) } }),
      },
    };
  }

  return {
    async hear(request, readBody) {
      if (verifier === undefined) {
        throw refused("neither ANNOUNCE_ORIGINS nor OPERATOR_KEYS lets anybody announce a node");
      }
      const { body, keyId } = await verifier.identify(request, readBody);
      const heartbeat = parseOrRefuse(heartbeatSchema, jsonOf(body));
      return joined === undefined || ids.has(keyId)
        ? hearAllowed(keyId, heartbeat)
        : hearMember(joined, keyId, heartbeat);
    },
    async list(now) {
      return (await askRegistry((registry) => registry.list())).map(factsOf(now));
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

function notHeard(
  why: Exclude<HeardMember["kind"], "heard" | "sent_away" | "elsewhere">,
): AppError {
  if (why === "full") return registryFull();
  return refused(
    why === "unknown"
      ? "its key is none of a node that has joined, or holds no longer"
      : "it was heard already, or a later one of this node was",
  );
}

const refused = (internal: string): AppError => new AppError("signature_invalid", "", { internal });

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body));
  } catch (cause) {
    throw new AppError("invalid_request", "The heartbeat is not valid JSON.", { cause });
  }
}
