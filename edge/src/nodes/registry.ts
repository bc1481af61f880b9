// What the registry does when it is asked: roster and membership together, in one transaction, with a clock that is
// given. The Durable Object (node-registry.ts) is this and its storage; the rest of the Worker knows its calls.
import type { Heartbeat } from "@blip2-edge/shared/wire/heartbeat";
import { announcedOrigin, readAllowedOrigin } from "./announcers.ts";
import { createMembership, type Member, type Offer } from "./membership.ts";
import {
  createRoster,
  type Announced,
  type Heard,
  type Known,
  type Listed,
  type RosterSql,
} from "./roster.ts";

/** What becomes of the heartbeat of a node that joined. */
export type HeardMember =
  | {
      readonly kind: "heard";
      readonly url: string;
      readonly keyIds: readonly [string, ...string[]];
    }
  | { readonly kind: "stale" | "full" | "unknown" | "sent_away" }
  /** It may not say that it is there, or somebody else is. */
  | { readonly kind: "elsewhere"; readonly origin: string };

export interface RegistryCalls {
  hear(announced: Announced, aliveMs: number): Promise<Heard>;
  list(): Promise<Listed[]>;
  hearMember(
    said: { readonly keyId: string; readonly heartbeat: Heartbeat },
    aliveMs: number,
  ): Promise<HeardMember>;
  offer(offer: Omit<Offer, "expiresAt">, lastsMs: number): Promise<"offered" | "full">;
  join(spent: {
    readonly tokenId: string;
    readonly proof: string;
    readonly suffix: string;
  }): Promise<Member | undefined>;
  rotate(name: string, suffix: string, overlapMs: number): Promise<Member | undefined>;
  remove(name: string): Promise<Member | undefined>;
  everyone(): Promise<{ readonly members: Member[]; readonly known: Known[] }>;
}

/** The same, as it is answered at once. */
export type Registry = {
  [Name in keyof RegistryCalls]: (
    ...args: Parameters<RegistryCalls[Name]>
  ) => Awaited<ReturnType<RegistryCalls[Name]>>;
};

export function createRegistry(sql: RosterSql, now: () => number): Registry {
  const roster = createRoster(sql);
  const membership = createMembership(sql);
  return {
    hear: (announced, aliveMs) => roster.hear(announced, aliveMs, now()),
    list: () => roster.list(now()),
    hearMember({ keyId, heartbeat }, aliveMs) {
      const at = now();
      const standing = membership.standingOf(keyId, at);
      if (standing === undefined) return { kind: "unknown" };
      if (standing.removed) return { kind: "sent_away" };
      const allowed = readAllowedOrigin(`${keyId}=${standing.origin}`);
      const url = announcedOrigin(allowed === undefined ? [] : [allowed], keyId, heartbeat.url);
      const holder = url === undefined ? undefined : roster.holderOf(url, at);
      if (url === undefined || (holder !== undefined && !standing.keyIds.includes(holder))) {
        return { kind: "elsewhere", origin: standing.origin };
      }
      const heard = roster.hear({ url, keyId, heartbeat }, aliveMs, at);
      if (heard !== "heard") return { kind: heard };
      membership.signsWith(keyId, at);
      // As it stands now: its first word with a new key may have ended the old one.
      const { keyIds } = membership.standingOf(keyId, at) ?? standing;
      return { kind: "heard", url, keyIds };
    },
    offer: (offer, lastsMs) => membership.offer({ ...offer, expiresAt: now() + lastsMs }, now()),
    join(spent) {
      const joined = membership.join(spent, now());
      if (joined !== undefined) roster.forget(joined.ended);
      return joined?.member;
    },
    rotate: (name, suffix, overlapMs) => membership.rotate(name, suffix, overlapMs, now()),
    remove(name) {
      const removed = membership.remove(name, now());
      if (removed !== undefined) roster.forget(removed.keyIds);
      return removed;
    },
    everyone: () => ({ members: membership.list(now()), known: roster.known(now()) }),
  };
}
