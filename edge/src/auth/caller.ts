// Who asks, once the key has been checked: plain data that every room may read.
import type { Scope } from "@blip2-edge/shared/contracts/keys";

/** Null: no limit. */
export interface KeyLimits {
  readonly requestsPerMinute: number | null;
  readonly inferencesPerDay: number | null;
  readonly inferencesPerMonth: number | null;
  /** Calls of a node at a time. */
  readonly concurrency: number | null;
}

export const noLimits: KeyLimits = {
  requestsPerMinute: null,
  inferencesPerDay: null,
  inferencesPerMonth: null,
  concurrency: null,
};

export interface Caller {
  readonly keyId: string;
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  readonly limits: KeyLimits;
  /** `host`, `host:port`, `*.suffix`: patterns to which this key's picture URLs are limited; empty: no limit. */
  readonly fetchAllow: readonly string[];
  /** Nothing of this key's requests is kept. */
  readonly noStore: boolean;
  /** May manage the keys of every tenant; only by a secret of the Worker, never by a key of the table. */
  readonly isOperator: boolean;
}
