// The keys of a file for as long as the node runs: read again every few seconds, and when somebody says so. So a
// key is replaced without a restart. A file that cannot be used changes nothing; the log says so once, and no
// word of what stands in it.
import { AppError } from "@blip2-edge/shared/problem";
import { parseSigningKeys, type SigningKey } from "@blip2-edge/shared/wire/signature";
import type { Log } from "../observe/log.ts";

export interface WatchedKeys {
  /** Those of now; the first signs. */
  readonly keys: () => readonly SigningKey[];
  /** Looks at the file now; resolves when that is done, whatever came of it. */
  look(): Promise<void>;
  stop(): void;
}

export interface WatchKeysOptions {
  /** What stands in the file now, as parseSigningKeys takes it. */
  readonly read: () => Promise<string>;
  /** As they were read at the start. */
  readonly keys: readonly SigningKey[];
  readonly log: Log;
  readonly everyMs?: number;
}

const textOf = (keys: readonly SigningKey[]): string =>
  keys.map(({ id, secret }) => `${id}:${new TextDecoder().decode(secret)}`).join(",");

export function watchKeys({ read, keys: first, log, everyMs = 2000 }: WatchKeysOptions) {
  let keys = first;
  /** Why the file could not be used when it was looked at last. */
  let fault: string | undefined;

  const lookOnce = async (): Promise<void> => {
    let found: readonly SigningKey[];
    try {
      found = parseSigningKeys(await read());
    } catch (error) {
      const reason =
        error instanceof AppError ? error.detail : `The keys cannot be read: ${codeOf(error)}.`;
      if (reason !== fault) log.warn("keys_kept", { reason });
      fault = reason;
      return;
    }
    fault = undefined;
    if (textOf(found) === textOf(keys)) return;
    keys = found;
    log.info("keys_read", { key_ids: keys.map(({ id }) => id) });
  };
  let looking: Promise<void> = Promise.resolve();
  const look = (): Promise<void> => (looking = looking.then(lookOnce));
  const timer = setInterval(() => void look(), everyMs);
  timer.unref();

  return {
    keys: () => keys,
    look,
    stop: () => clearInterval(timer),
  } satisfies WatchedKeys;
}

const codeOf = (error: unknown): string =>
  (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.name : "unknown");
