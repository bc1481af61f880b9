// Remembers the nonces of signed requests for as long as the same signature could still be valid.
// Invariant: what was accepted once is never forgotten inside that time. When the memory is full, new
// requests are refused; old nonces are not pushed out, because that would let a replay through.

export interface NonceMemory {
  /** `full` says nothing about the nonce. */
  readonly remember: (nonce: string) => "new" | "replayed" | "full";
  readonly size: () => number;
}

export interface NonceMemoryOptions {
  readonly capacity: number;
  readonly holdMs: number;
  readonly now: () => number;
}

export function createNonceMemory({ capacity, holdMs, now }: NonceMemoryOptions): NonceMemory {
  // Every nonce is held equally long, so insertion order is the order of expiry.
  const forgetAt = new Map<string, number>();
  let latest = Number.NEGATIVE_INFINITY;
  return {
    remember(nonce) {
      latest = Math.max(latest, now()); // a clock that is set back must not free anything early
      for (const [held, at] of forgetAt) {
        if (at > latest) break;
        forgetAt.delete(held);
      }
      if (forgetAt.has(nonce)) return "replayed";
      if (forgetAt.size >= capacity) return "full";
      forgetAt.set(nonce, latest + holdMs);
      return "new";
    },
    size: () => forgetAt.size,
  };
}
