// All nodes as one isolate knows them, and the choice among them. Deterministic: time and randomness are
// arguments, nothing waits and nothing is sent. Plain data, so requests may share it; what a request that
// vanished has left here ends by its time.
import type { Catalog } from "@blip2-edge/shared/wire/protocol";
import { createBudget } from "./budget.ts";
import { createLatencyDigest, type LatencyDigest } from "./latency-digest.ts";
import {
  heardOf,
  learn,
  newHealth,
  passTime,
  takeOut,
  type CallOutcome,
  type NodeHealth,
  type OutBecause,
} from "./node-health.ts";
import { findOutliers } from "./outliers.ts";
import { defaultPolicy, type FleetPolicy } from "./policy.ts";
import { rankNodes } from "./rendezvous.ts";

/** What is known of a node before it is asked anything. */
export interface NodeFacts {
  /** Its origin, which is also its name. */
  readonly url: string;
  /** The key that requests to it are signed with; undefined: the first. */
  readonly keyId?: string | undefined;
  readonly weight: number;
  /** What it holds; undefined until it has been asked. */
  readonly models: Catalog["models"] | undefined;
  /** Its last sign of life, in the isolate's time, and when its process began. */
  readonly heardAt?: number | undefined;
  readonly startedAt?: number | undefined;
  /** It has said that it takes no more for now. */
  readonly rests?: boolean | undefined;
}

/** Nodes that the configuration names; alike until they say more of themselves. */
export const staticNodes = (urls: readonly string[]): NodeFacts[] =>
  urls.map((url) => ({ url, weight: 1, models: undefined }));

export interface Flight {
  readonly url: string;
  readonly startedAt: number;
  /** The kind of call that its latency is compared with. */
  readonly kind: string;
  readonly until: number;
  /** Its latency has been told already (a stream that has begun). */
  timed: boolean;
}

export interface Wanted {
  readonly model: string;
  readonly revision: string;
  /** Calls with one key go to one node while they can. */
  readonly key: string;
  readonly bulk: boolean;
  /** Not these. */
  readonly exclude?: ReadonlySet<string>;
}

export type Choice =
  | { readonly kind: "node"; readonly url: string; readonly keyId: string | undefined }
  /** Those that serve it have all they may have. */
  | { readonly kind: "full" }
  /** None serves it, or none of those can be reached before `retryAt`. */
  | { readonly kind: "none"; readonly retryAt: number | undefined };

export interface NodeState {
  readonly url: string;
  readonly out: OutBecause | undefined;
  readonly inFlight: number;
}

/** A node is taken out of the rotation, or is let back. */
export interface NodeChange {
  readonly url: string;
  readonly out: OutBecause | undefined;
}

export interface Fleet {
  readonly policy: FleetPolicy;
  /** The nodes that there are; those that stay keep their record. */
  setNodes(nodes: readonly NodeFacts[], now: number): void;
  nodes(): readonly NodeFacts[];
  state(now: number): readonly NodeState[];
  /** A node has answered a check, with what it holds. */
  checked(url: string, models: Catalog["models"], now: number): void;
  /** A node has said that it does not hold this, whatever was believed: it is being changed. */
  lacks(url: string, model: string, revision: string, now: number): void;
  /** Nodes that are out, or hold something else than was believed, and due to be checked; each is given once. */
  checksDue(now: number): readonly NodeFacts[];

  /** A call has come in: what it adds to the budgets. */
  arrived(now: number): void;
  choose(wanted: Wanted, now: number): Choice;
  /** A node that has room to spare, for a second call of the same. */
  chooseSpare(wanted: Wanted, now: number): Choice;
  begin(url: string, kind: string, lastsMs: number, now: number): Flight;
  /** A stream has begun: its latency is known, and it is still in flight. */
  spoke(flight: Flight, now: number): void;
  /** Once; a second time does nothing. */
  end(flight: Flight, outcome: CallOutcome, now: number): void;

  /** How long to wait before a call of this kind is asked elsewhere as well; undefined: not at all. */
  hedgeAfterMs(kind: string, now: number): number | undefined;
  takeHedge(now: number): boolean;
  takeRetry(now: number): boolean;
  /** A retry that is made whatever the budget has left. */
  spendRetry(now: number): void;
}

interface Member {
  facts: NodeFacts;
  /** When it said itself what it holds: a heartbeat from before says nothing against it. */
  saidAt: number;
  /** It holds something else than was believed, and has not said yet what: when to ask it. */
  doubt: { checkAt: number } | undefined;
  readonly health: NodeHealth;
  readonly flights: Set<Flight>;
  /** As it was told last. */
  told: OutBecause | undefined;
}

const maxKinds = 64;
/** A flight ends by itself so long after its time, should its request have vanished. */
const graceMs = 5000;
const noOne: ReadonlySet<string> = new Set();

export function createFleet(
  options: Partial<FleetPolicy> = {},
  tell: (change: NodeChange) => void = () => {},
): Fleet {
  const policy = { ...defaultPolicy, ...options };
  const members = new Map<string, Member>();
  const kinds = new Map<string, LatencyDigest>();
  const window = { windowMs: policy.budgetWindowMs };
  const retries = createBudget({ share: policy.retryShare, perS: policy.retriesPerS, ...window });
  const hedges = createBudget({ share: policy.hedgeShare, ...window });
  let evaluatedAt = Number.NEGATIVE_INFINITY;

  const digestOf = (kind: string): LatencyDigest => {
    const digest = kinds.get(kind) ?? createLatencyDigest(policy.latencyHalfLifeMs);
    // The one that was used longest ago goes first.
    kinds.delete(kind);
    kinds.set(kind, digest);
    if (kinds.size > maxKinds) {
      const oldest = kinds.keys().next();
      if (!oldest.done) kinds.delete(oldest.value);
    }
    return digest;
  };
  /** The usual latency of a kind; undefined while too few calls of it are known. */
  const usualMs = (kind: string, q: number, now: number): number | undefined => {
    const digest = kinds.get(kind);
    if (digest === undefined || digest.weight(now) < policy.hedgeVolume) return undefined;
    return digest.quantile(q);
  };
  const ratioOf = (kind: string, ms: number, now: number): number | undefined => {
    const usual = usualMs(kind, 0.5, now);
    return usual === undefined ? undefined : ms / usual;
  };

  function sweep(now: number): void {
    for (const member of members.values()) {
      const { facts, health, flights } = member;
      for (const flight of flights) if (flight.until <= now) flights.delete(flight);
      passTime(health, now, policy);
      if (member.told === health.out?.because) continue;
      member.told = health.out?.because;
      tell({ url: facts.url, out: member.told });
    }
    if (now < evaluatedAt + policy.evaluateEveryMs) return;
    evaluatedAt = now;
    for (const { member, because } of findOutliers(
      [...members.values()],
      pendingRatios(now),
      policy,
    )) {
      eject(member, because, now);
    }
  }

  /** Calls that take long already, as multiples of what is usual: a node that hangs gives no other sign. */
  const pendingRatios =
    (now: number) =>
    ({ flights }: Member): number[] =>
      [...flights].flatMap(({ kind, startedAt, timed }) => {
        const ratio = timed ? undefined : ratioOf(kind, now - startedAt, now);
        return ratio === undefined || ratio < policy.slowFactor ? [] : [ratio];
      });

  /** Outliers may be only a part of the fleet; what cannot be reached is out whatever the others are. */
  function eject(member: Member, because: OutBecause, now: number): void {
    if (because !== "unreachable") {
      const all = [...members.values()];
      // One on probation still counts, or else all would come to be on it.
      const isOutlier = ({ health: { out, probationLeft } }: Member): boolean =>
        out === undefined ? probationLeft > 0 : out.because !== "unreachable";
      const others = all.filter((other) => other !== member);
      const most = Math.max(1, Math.floor(policy.maxEjectedShare * all.length));
      if (others.filter(isOutlier).length >= most) return;
      if (others.every(({ health }) => health.out !== undefined)) return;
    }
    takeOut(member.health, because, now, policy);
  }

  const serves = ({ facts }: Member, { model, revision }: Wanted): boolean =>
    facts.models?.some((held) => held.model === model && held.model_revision === revision) ?? false;

  /** How many calls a node may have, whatever the others have; on probation one, while others serve. */
  const mayHave = (pool: readonly Member[], bulk: boolean): ((member: Member) => boolean) => {
    const { maxInFlight, bulkShare } = policy;
    const limit = bulk ? Math.max(1, Math.floor(maxInFlight * bulkShare)) : maxInFlight;
    const anyProven = pool.some(({ health }) => health.probationLeft === 0);
    return ({ flights, health }) =>
      flights.size < (anyProven && health.probationLeft > 0 ? 1 : limit);
  };

  /** Bounded load (Mirrokni, Thorup, Zadimoghaddam 2016): no node has more than c times its share. */
  function underBound(pool: readonly Member[]): (member: Member) => boolean {
    const total = pool.reduce((sum, { flights }) => sum + flights.size, 0);
    const weight = pool.reduce((sum, { facts }) => sum + facts.weight, 0);
    return ({ facts, flights }) =>
      flights.size < Math.ceil((policy.loadFactor * (total + 1) * facts.weight) / weight);
  }

  const rests = ({ facts, health }: Member, now: number): boolean =>
    facts.rests === true || health.restUntil > now;

  /** Those that hold the model; if none is known to, those that have not said yet what they hold. */
  function servingOf(wanted: Wanted): Member[] {
    const exclude = wanted.exclude ?? noOne;
    const all = [...members.values()].filter(({ facts }) => !exclude.has(facts.url));
    const serving = all.filter((member) => serves(member, wanted));
    return serving.length > 0
      ? serving
      : all.filter(({ facts, doubt }) => facts.models === undefined || doubt !== undefined);
  }

  const ranked = (pool: readonly Member[], key: string): Member[] =>
    rankNodes(
      key,
      pool.map((member) => ({ id: member.facts.url, weight: member.facts.weight, member })),
    ).map(({ member }) => member);

  const chosen = ({ facts: { url, keyId } }: Member): Choice => ({ kind: "node", url, keyId });

  return {
    policy,

    setNodes(nodes, now) {
      const urls = new Set(nodes.map(({ url }) => url));
      for (const url of members.keys()) if (!urls.has(url)) members.delete(url);
      for (const facts of nodes) {
        const member = members.get(facts.url);
        if (member === undefined) {
          const health = newHealth();
          const unsaid = { saidAt: Number.NEGATIVE_INFINITY, doubt: undefined };
          members.set(facts.url, { facts, ...unsaid, health, flights: new Set(), told: undefined });
          continue;
        }
        const { heardAt, startedAt } = facts;
        const isOlder = heardAt !== undefined && heardAt <= member.saidAt;
        const models = isOlder ? undefined : facts.models;
        member.facts = { ...facts, models: models ?? member.facts.models };
        if (heardAt !== undefined && !isOlder) member.doubt = undefined;
        if (heardAt !== undefined) heardOf(member.health, { at: heardAt, startedAt }, now, policy);
      }
    },
    nodes: () => [...members.values()].map(({ facts }) => facts),
    state(now) {
      sweep(now);
      return [...members.values()].map(({ facts, health, flights }) => ({
        url: facts.url,
        out: health.out?.because,
        inFlight: flights.size,
      }));
    },

    checked(url, models, now) {
      const member = members.get(url);
      if (member === undefined) return;
      member.facts = { ...member.facts, models };
      member.saidAt = now;
      member.doubt = undefined;
      heardOf(member.health, { at: now }, now, policy);
    },
    lacks(url, model, revision, now) {
      const member = members.get(url);
      if (member === undefined) return;
      const models = member.facts.models?.filter(
        (held) => held.model !== model || held.model_revision !== revision,
      );
      member.facts = { ...member.facts, models };
      member.saidAt = now;
      member.doubt = { checkAt: now };
    },
    checksDue(now) {
      const due: NodeFacts[] = [];
      for (const { facts, health, doubt } of members.values()) {
        const { out } = health;
        if (out !== undefined && now >= out.checkAt) postpone(out, now);
        else if (doubt === undefined || now < doubt.checkAt) continue;
        if (doubt !== undefined) doubt.checkAt = now + policy.firstCheckMs;
        due.push(facts);
      }
      return due;
    },

    arrived(now) {
      retries.deposit(now);
      hedges.deposit(now);
    },

    choose(wanted, now) {
      sweep(now);
      const serving = servingOf(wanted);
      const isIn = serving.filter(({ health }) => health.out === undefined);
      const rested = isIn.filter((member) => !rests(member, now));
      // Rather a node that has asked for rest than none; rather an outlier than none.
      let pool = rested.length > 0 ? rested : isIn;
      if (pool.length === 0) {
        pool = serving.filter(({ health }) => health.out?.because !== "unreachable");
      }
      if (pool.length === 0) return trialOf(serving, wanted.key, now);
      const open = ranked(pool, wanted.key).filter(mayHave(pool, wanted.bulk));
      const [first] = open;
      if (first === undefined) return { kind: "full" };
      return chosen(open.find(underBound(pool)) ?? first);
    },

    chooseSpare(wanted, now) {
      const pool = servingOf({ ...wanted, exclude: noOne }).filter(
        ({ health }) => health.out === undefined,
      );
      const spare = pool
        .filter(mayHave(pool, true))
        .filter(
          (member) =>
            wanted.exclude?.has(member.facts.url) !== true &&
            !rests(member, now) &&
            member.health.probationLeft === 0,
        );
      const found = ranked(spare, wanted.key).find(underBound(pool));
      return found === undefined ? { kind: "full" } : chosen(found);
    },

    begin(url, kind, lastsMs, now) {
      const flight = { url, kind, startedAt: now, until: now + lastsMs + graceMs, timed: false };
      members.get(url)?.flights.add(flight);
      return flight;
    },
    spoke(flight, now) {
      if (flight.timed) return;
      flight.timed = true;
      digestOf(flight.kind).add(now - flight.startedAt, now);
    },
    end(flight, outcome, now) {
      const member = members.get(flight.url);
      if (member?.flights.delete(flight) !== true) return;
      const { kind, startedAt, timed } = flight;
      const lives = outcome.kind === "ok" || outcome.kind === "busy" || outcome.kind === "answered";
      if (lives) heardOf(member.health, { at: startedAt }, now, policy);
      const tookMs = now - startedAt;
      const ratio = timed ? undefined : ratioOf(kind, tookMs, now);
      if (
        !timed &&
        (outcome.kind === "ok" || outcome.kind === "lost" || outcome.kind === "timed_out")
      ) {
        digestOf(kind).add(tookMs, now);
      }
      const because = learn(member.health, outcome, ratio, now, policy);
      if (because !== undefined) eject(member, because, now);
    },

    hedgeAfterMs(kind, now) {
      if (policy.hedgeShare === 0) return undefined;
      const ms = usualMs(kind, policy.hedgeQuantile, now);
      return ms === undefined ? undefined : Math.max(ms, policy.minHedgeMs);
    },
    takeHedge: (now) => hedges.take(now),
    takeRetry: (now) => retries.take(now),
    spendRetry: (now) => retries.spend(now),
  };

  /** All are down: the call itself is the check of one that is due for it. */
  function trialOf(serving: readonly Member[], key: string, now: number): Choice {
    let retryAt: number | undefined;
    for (const member of ranked(serving, key)) {
      const { out } = member.health;
      if (out === undefined) continue;
      if (now >= out.checkAt) {
        postpone(out, now);
        return chosen(member);
      }
      retryAt = Math.min(retryAt ?? Number.POSITIVE_INFINITY, out.checkAt);
    }
    return { kind: "none", retryAt };
  }

  function postpone(out: NonNullable<NodeHealth["out"]>, now: number): void {
    out.checkAt = now + out.checkPauseMs;
    out.checkPauseMs = Math.min(out.checkPauseMs * 2, policy.maxCheckMs);
  }
}
