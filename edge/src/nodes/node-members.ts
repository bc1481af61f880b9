// The book of nodes, for operators: tokens with which they join, what becomes of a token, new keys, farewells, and the
// list of all that are known. Tokens and keys are told here, once each; neither is stored anywhere.
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import {
  type CreateNodeTokenRequest,
  defaultNodeOverlapS,
  defaultTokenS,
  type Node,
  type NodeToken,
} from "@blip2-edge/shared/contracts/nodes";
import { AppError } from "@blip2-edge/shared/problem";
import type { JoinRequest, JoinResponse } from "@blip2-edge/shared/wire/join";
import { readAllowedOrigin, type AllowedOrigin } from "./announcers.ts";
import { newKeySuffix, newTokenId, type JoinedKeys } from "./joined-keys.ts";
import type { Member } from "./membership.ts";
import { registryFull, type AskRegistry } from "./registries.ts";
import type { Known } from "./roster.ts";

export interface NodeMembers {
  /** Throws invalid_request, overloaded, registry_unavailable. */
  offer(request: CreateNodeTokenRequest): Promise<NodeToken>;
  /** Throws forbidden, registry_unavailable. */
  join(request: JoinRequest): Promise<JoinResponse>;
  /** Throws registry_unavailable. */
  list(): Promise<Node[]>;
  /** Throws not_found, registry_unavailable. */
  rotate(name: string, overlapS?: number): Promise<Node>;
  remove(name: string): Promise<Node>;
}

export interface NodeMembersOptions {
  readonly askRegistry: AskRegistry;
  /** Undefined where no node may join. */
  readonly joined: JoinedKeys | undefined;
  /** Nodes that the settings know. */
  readonly listed: readonly string[];
  readonly allowed: readonly AllowedOrigin[];
  readonly now?: () => number;
}

export function nodeMembers(options: NodeMembersOptions): NodeMembers {
  const { askRegistry, joined, listed, allowed, now = Date.now } = options;
  const allowedIds = [...new Set(allowed.map(({ keyId }) => keyId))];
  const iso = (at: number): string => new Date(at).toISOString();

  const heardOf = ({ url, keyId, agoMs, alive, heartbeat }: Known) => ({
    url,
    key_id: keyId,
    heard_at: iso(now() - agoMs),
    state: alive && heartbeat.state !== "leaving" ? heartbeat.state : ("gone" as const),
    version: heartbeat.version,
    weight: heartbeat.capacity.weight,
    jobs: heartbeat.load.jobs,
    models: heartbeat.models.map(({ model, model_revision }) => ({ model, model_revision })),
  });
  const nothing = {
    ...{ url: null, key_id: null, heard_at: null, state: null },
    ...{ version: null, weight: null, jobs: null, models: [] },
  };
  const nodeOf = ({ name, origin, keyIds, joinedAt }: Member, known: readonly Known[]): Node => {
    // Of one that has moved, where it was heard last.
    const [last] = known
      .filter(({ keyId }) => keyIds.includes(keyId))
      .toSorted((a, b) => a.agoMs - b.agoMs);
    return {
      ...{ name, by: "token" as const, origin, key_ids: [...keyIds], joined_at: iso(joinedAt) },
      ...(last === undefined ? nothing : heardOf(last)),
    };
  };
  async function found(name: string, member: Member | undefined): Promise<Node> {
    if (member === undefined) {
      throw new AppError("not_found", `No node has joined as ${JSON.stringify(name)}.`);
    }
    return nodeOf(member, (await askRegistry((registry) => registry.everyone())).known);
  }

  return {
    async offer({ name, origin, expires_in_s: lastsS = defaultTokenS }) {
      if (joined === undefined) throw nobodyJoins();
      if (readAllowedOrigin(`${name}=${origin}`) === undefined) {
        throw invalidRequest([
          {
            field: "origin",
            message:
              "must be an origin such as https://gpu-1.example.com, https://*.gpu.example.com or http://127.0.0.1:*",
          },
        ]);
      }
      const tokenId = newTokenId();
      const offered = await askRegistry((registry) =>
        registry.offer({ tokenId, name, origin }, lastsS * 1000),
      );
      if (offered === "full") throw registryFull();
      const token = await joined.tokenOf(tokenId);
      return { token, name, origin, expires_at: iso(now() + lastsS * 1000) };
    },

    async join({ token, proof }) {
      const tokenId = await joined?.tokenId(token);
      if (joined === undefined || tokenId === undefined) throw wrongToken("it was not made here");
      const suffix = newKeySuffix();
      const member = await askRegistry((registry) => registry.join({ tokenId, proof, suffix }));
      if (member === undefined) throw wrongToken("it is over, was spent, or another came after it");
      const { name, origin, keyIds } = member;
      const [id] = keyIds;
      return { name, origin, key: { id, secret: await joined.secretOf(id) } };
    },

    async list() {
      const { members, known } = await askRegistry((registry) => registry.everyone());
      const ofSettings = (keyId: string) => known.filter((node) => node.keyId === keyId);
      const announced = allowedIds.flatMap((keyId): Node[] => {
        const about = {
          name: keyId,
          by: "announce_origins",
          origin: null,
          joined_at: null,
        } as const;
        const heard = ofSettings(keyId);
        return (heard.length === 0 ? [nothing] : heard.map(heardOf)).map((last) => ({
          ...{ ...about, key_ids: [keyId] },
          ...last,
        }));
      });
      const fixed = listed.map((url): Node => {
        const about = { name: url, by: "node_url", origin: null, joined_at: null } as const;
        return { ...about, key_ids: [], ...nothing, url };
      });
      return [...members.map((member) => nodeOf(member, known)), ...announced, ...fixed];
    },

    rotate: async (name, overlapS = defaultNodeOverlapS) =>
      found(
        name,
        await askRegistry((registry) => registry.rotate(name, newKeySuffix(), overlapS * 1000)),
      ),
    remove: async (name) => found(name, await askRegistry((registry) => registry.remove(name))),
  };
}

const nobodyJoins = (): AppError =>
  new AppError("forbidden", "Nodes join where the Worker has OPERATOR_KEYS.");

const wrongToken = (internal: string): AppError =>
  new AppError(
    "forbidden",
    "The token does not let a node join: it is good once, and not for long. Make another with `blip2-edge nodes token`.",
    { internal },
  );
