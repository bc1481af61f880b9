// What the bench and the probe in the door's process say to each other.

export type ToProbe = { readonly type: "reset" } | { readonly type: "read" };

export interface Lag {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}
export type FromProbe = Lag & { readonly type: "lag" };
