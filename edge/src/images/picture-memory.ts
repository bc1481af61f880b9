// Bounds what one isolate holds of pictures at a time: production gives it 128 MB, and two large photos
// at once would end it. Counted are files while they are read and until they are decoded, what decoding
// needs on top, and the memory that a codec keeps. Who does not fit waits, polling: a request must not
// wait on a promise of another, which may never settle once that request is gone (docs/decisions/0086).
// For the same reason a share that nobody touches ends by itself after `leaseMs`.
import { AppError } from "@blip2-edge/shared/problem";

/** What one request holds; nothing at first. */
export interface MemoryShare {
  /**
   * Reserves room for `bytes` more of a file that is about to be read. Files may take only a part of the
   * memory, and no new one is let in while a picture waits to be decoded. Throws overloaded.
   */
  hold(bytes: number, signal: AbortSignal): Promise<void>;
  /** From here on it is `bytes`, which is less. */
  keep(bytes: number): void;
  /**
   * Runs `work`, which needs `bytes` in all, the file included, when they fit beside what others hold.
   * Throws overloaded when that takes too long.
   */
  spend<T>(bytes: number, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export interface PictureMemory {
  share(): MemoryShare;
  heldBytes(): number;
  /** The most that was held at any time. */
  highWaterBytes(): number;
}

export interface PictureMemoryOptions {
  readonly maxBytes: number;
  readonly waitMs: number;
  /** Memory that a codec keeps between two pictures. */
  readonly idleBytes?: () => number;
  /** Memory that stays while there is work, and is let go of where work needs the room. */
  readonly spare?: { readonly bytes: () => number; readonly drop: () => void };
  readonly leaseMs?: number;
  readonly pollMs?: number;
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

interface Holder {
  /** Of its file. */
  bytes: number;
  /** For its work on top of that. */
  extra: number;
  /** The number in the queue of those who wait to work. */
  turn: number | undefined;
  until: number;
}

/**
 * So much of the memory files may take: what is left holds the decoding of an ordinary large photo, and what is spare
 * beside it.
 */
const fileShare = 1 / 3;

const realSleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const overloaded = (internal: string): AppError =>
  new AppError("overloaded", "Too many pictures are being read at once. Try again.", {
    retryAfterS: 1,
    internal,
  });

export function pictureMemory(options: PictureMemoryOptions): PictureMemory {
  const {
    maxBytes,
    waitMs,
    idleBytes = () => 0,
    spare = { bytes: () => 0, drop: () => {} },
    leaseMs = 30_000,
    pollMs = 20,
    now = Date.now,
    sleep = realSleep,
  } = options;
  const holders = new Set<Holder>();
  let lastTurn = 0;
  let highWater = 0;

  function live(): Holder[] {
    const at = now();
    for (const holder of holders) if (holder.until <= at) holders.delete(holder);
    return [...holders];
  }
  const sumOf = (list: readonly Holder[], of: (holder: Holder) => number): number =>
    list.reduce((sum, holder) => sum + of(holder), 0);
  const filesOf = (list: readonly Holder[]): number => sumOf(list, ({ bytes }) => bytes);
  /** A codec's memory is that of the work while there is work. */
  const totalOf = (list: readonly Holder[]): number =>
    spare.bytes() +
    filesOf(list) +
    Math.max(
      sumOf(list, ({ extra }) => extra),
      idleBytes(),
    );

  function touch(holder: Holder): void {
    holder.until = now() + leaseMs;
    if (holder.bytes > 0 || holder.extra > 0 || holder.turn !== undefined) holders.add(holder);
    else holders.delete(holder);
    highWater = Math.max(highWater, totalOf(live()));
  }

  function mayRead(holder: Holder, bytes: number): boolean {
    const others = live().filter((other) => other !== holder);
    if (filesOf(others) === 0) return true;
    if (others.some(({ turn }) => turn !== undefined)) return false;
    const files = filesOf(others) + holder.bytes + bytes;
    return files <= maxBytes * fileShare && totalOf(others) + holder.bytes + bytes <= maxBytes;
  }

  /** One picture alone may need more than there is: it has passed the limits of pictures already. */
  function mayWork(holder: Holder, bytes: number): boolean {
    const others = live().filter((other) => other !== holder);
    const held = sumOf(others, (other) => other.bytes + other.extra);
    if (held + bytes + spare.bytes() > maxBytes) spare.drop();
    return held === 0 || held + bytes + spare.bytes() <= maxBytes;
  }

  /** When all that is held is held by those who wait for it, the youngest of them must go. */
  function mustGiveWay(holder: Holder): boolean {
    const all = live();
    return (
      all.length > 1 &&
      all.every(({ bytes, extra, turn }) =>
        turn === undefined ? bytes + extra === 0 : holder.turn !== undefined && turn <= holder.turn,
      )
    );
  }

  /** `take` looks and reserves in one go: others run between any two steps that wait. */
  async function until(
    holder: Holder,
    signal: AbortSignal,
    take: () => boolean,
    hopeless: () => boolean,
  ): Promise<void> {
    const giveUpAt = now() + waitMs;
    while (!take()) {
      signal.throwIfAborted();
      if (hopeless()) throw overloaded("waits for memory that is held by who waits as well");
      if (now() >= giveUpAt) throw overloaded(`no memory in ${waitMs} ms`);
      await sleep(pollMs);
    }
  }

  return {
    heldBytes: () => totalOf(live()),
    highWaterBytes: () => highWater,
    share() {
      const holder: Holder = { bytes: 0, extra: 0, turn: undefined, until: 0 };
      return {
        hold(bytes, signal) {
          const take = (): boolean => {
            if (!mayRead(holder, bytes)) return false;
            holder.bytes += bytes;
            touch(holder);
            return true;
          };
          return until(holder, signal, take, () => false);
        },
        keep(bytes) {
          holder.bytes = Math.min(holder.bytes, bytes);
          touch(holder);
        },
        async spend(bytes, signal, work) {
          const take = (): boolean => {
            if (!mayWork(holder, bytes)) {
              holder.turn ??= lastTurn += 1;
              touch(holder);
              return false;
            }
            holder.turn = undefined;
            holder.extra = Math.max(0, bytes - holder.bytes);
            touch(holder);
            return true;
          };
          try {
            await until(holder, signal, take, () => mustGiveWay(holder));
            return await work();
          } finally {
            holder.turn = undefined;
            holder.extra = 0;
            touch(holder);
          }
        },
      };
    },
  };
}
