// How much waits, as it is now: asked for when the view is opened, every half minute while it is looked at, and when one
// comes back to it. Says when something has come that is not shown yet.
import { maxCounted, type ReviewSummary } from "@blip2-edge/shared/contracts/review";
import { callApi } from "./call.ts";
import { byId } from "./dom.ts";
import type { KeyBox } from "./key.ts";

export interface LiveCount {
  /** Asks. `isAnew`: what is shown is as new. */
  refresh(isAnew: boolean): Promise<void>;
  /** So many were decided here. */
  decided(change: number): void;
}

export interface LiveCountOptions {
  readonly key: KeyBox;
  readonly isShown: () => boolean;
  /** Those of one connection alone; undefined: of all. */
  readonly connection: () => string | undefined;
  readonly heard: (summary: ReviewSummary) => void;
  readonly showNewer: () => void;
}

const everyMs = 30_000;

export function liveCount(options: LiveCountOptions): LiveCount {
  const { key, isShown, connection, heard, showNewer } = options;
  const place = byId("review-count", HTMLElement);
  const newer = byId("review-newer", HTMLButtonElement);
  /** What waits, and what of it has been shown or could be by going on. */
  let waiting = 0;
  let reachable = 0;
  newer.addEventListener("click", showNewer);

  const tell = (): void => {
    const said =
      waiting >= maxCounted
        ? `${maxCounted} or more wait`
        : waiting === 0
          ? "Nothing waits"
          : `${waiting} ${waiting === 1 ? "waits" : "wait"}`;
    // What is said again would be read out again.
    if (place.textContent !== said) place.textContent = said;
    const come = waiting - reachable;
    newer.hidden = come <= 0;
    newer.textContent =
      come === 1 ? "Show one more that has come" : `Show ${come} more that have come`;
  };

  async function refresh(isAnew: boolean): Promise<void> {
    if (key.value() === "") return;
    try {
      const { answer } = await callApi(key.value(), (client) => client.reviewSummary());
      const only = connection();
      waiting = answer.connections
        .filter(({ id }) => only === undefined || id === only)
        .reduce((sum, { open }) => sum + open, 0);
      // Others may have decided some.
      reachable = isAnew ? waiting : Math.min(reachable, waiting);
      heard(answer);
      tell();
    } catch {
      // The list says what is wrong; the count stays what it was.
    }
  }
  const look = (): void => {
    if (isShown() && document.visibilityState === "visible") void refresh(false);
  };
  setInterval(look, everyMs);
  document.addEventListener("visibilitychange", look);

  return {
    refresh,
    decided(change) {
      waiting = Math.max(0, waiting - change);
      reachable = Math.max(0, reachable - change);
      tell();
    },
  };
}
