// Which suggestions are shown: by state and by connection. It stands in the address behind #review, so that it can be
// kept and passed on.
import type { ReviewSummary } from "@blip2-edge/shared/contracts/review";
import { suggestionStates, type SuggestionState } from "@blip2-edge/shared/contracts/suggestions";
import { byId, el } from "./dom.ts";

export interface Where {
  /** Undefined: all. */
  readonly state: SuggestionState | undefined;
  readonly connection: string | undefined;
}

export interface ReviewFilters {
  where(): Where;
  /** Which connections there are, and how much waits of each. */
  know(summary: ReviewSummary): void;
  nameOf(connectionId: string): string;
}

const connectionId = /^con_[0-9a-f]{32}$/;

export function reviewFilters(changed: () => void): ReviewFilters {
  const state = byId("review-state", HTMLSelectElement);
  const connection = byId("review-connection", HTMLSelectElement);
  const names = new Map<string, string>();

  const inAddress = new URLSearchParams(location.hash.slice(1));
  const asked = inAddress.get("state") ?? "open";
  if (asked === "all" || suggestionStates.some((each) => each === asked)) state.value = asked;
  const wanted = inAddress.get("connection") ?? "";
  if (connectionId.test(wanted)) {
    connection.append(el("option", { value: wanted, text: wanted }));
    connection.value = wanted;
  }

  const where = (): Where => ({
    state: suggestionStates.find((each) => each === state.value),
    connection: connection.value === "" ? undefined : connection.value,
  });
  const note = (): void => {
    const { connection: only } = where();
    const parts = [
      "review",
      ...(state.value === "open" ? [] : [`state=${state.value}`]),
      ...(only === undefined ? [] : [`connection=${only}`]),
    ];
    history.replaceState(null, "", `#${parts.join("&")}`);
    changed();
  };
  state.addEventListener("change", note);
  connection.addEventListener("change", note);

  return {
    where,
    know({ connections }) {
      const chosen = connection.value;
      for (const { id, name } of connections) names.set(id, name);
      const known = connections.map(({ id, name, open }) =>
        el("option", { value: id, text: open === 0 ? name : `${name} (${open})` }),
      );
      const isGone = chosen !== "" && !connections.some(({ id }) => id === chosen);
      connection.replaceChildren(
        el("option", { value: "", text: "all connections" }),
        ...known,
        ...(isGone ? [el("option", { value: chosen, text: chosen })] : []),
      );
      connection.value = chosen;
    },
    nameOf: (id) => names.get(id) ?? id,
  };
}
