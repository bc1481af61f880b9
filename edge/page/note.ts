// The line under an answer: which rung served it, in what time, and where that time went.
import type { CallFacts } from "./call.ts";
import { el } from "./dom.ts";
import { sayMs } from "./timings.ts";

const rungs: Readonly<Record<string, string>> = {
  cache: "from the cache",
  revalidated: "from the cache, checked with the picture’s host",
  stale: "from the cache, past its time",
  shared: "from a node that another request had asked",
  live: "from a node",
};

/** Hops in plain words; those that need none, or are not known, keep their name (docs/edge-observability.md). */
const words: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  worker: {
    ...{ auth: "key", body: "upload", catalog: "models", fetch: "fetch picture" },
    ...{
      decode: "decode picture",
      lookup: "look in cache",
      wait: "wait for the same",
      store: "put in cache",
    },
  },
  node: { decode: "write" },
};

export interface NoteOptions {
  /** Shows the hops at once where there is room for them. */
  readonly isOpen?: boolean;
  /** Of the same request before this one. */
  readonly before?: CallFacts | undefined;
  readonly again?: () => void;
}

export function note(facts: CallFacts, model: string, options: NoteOptions = {}): HTMLElement {
  const { times, served } = facts;
  const { before, again } = options;
  const line = el(
    "p",
    { class: "note" },
    el("span", {
      class: `rung ${served === "live" ? "live" : "kept"}`,
      text: rungs[served] ?? served,
    }),
    el("span", { text: sayMs(times.totalMs) }),
    ...(before === undefined
      ? []
      : [el("span", { text: `before: ${sayMs(before.times.totalMs)}` })]),
    el("span", { text: model }),
  );
  if (again !== undefined) {
    const button = el("button", { type: "button", class: "quiet", text: "Ask again" });
    button.addEventListener("click", again);
    line.append(button);
  }
  return factsUnder(line, facts, options.isOpen);
}

/** A line of one's own, and where the time went. */
export function factsUnder(line: HTMLElement, facts: CallFacts, isOpen = false): HTMLElement {
  return el(
    "div",
    { class: "facts" },
    line,
    bar(facts),
    hops(facts, isOpen && matchMedia("(min-width: 56rem)").matches),
  );
}

function bar({ times }: CallFacts): HTMLElement {
  const parts = times.parts.map(({ part, ms }) => {
    const piece = el("span", { class: part });
    piece.style.setProperty("flex-grow", String(ms / times.totalMs));
    return piece;
  });
  return el("div", { class: "hops", "aria-hidden": "true" }, ...parts);
}

function hops({ times, requestId }: CallFacts, isOpen: boolean): HTMLElement {
  const entry = (className: string, name: string, ms: number) =>
    el("div", { class: className }, el("dt", { text: name }), el("dd", { text: sayMs(ms) }));
  const list = el(
    "dl",
    { class: "stages" },
    ...times.parts.flatMap(({ part, name, ms }) => [
      entry(`part ${part}`, name, ms),
      ...times.stages
        .filter((stage) => stage.part === part)
        .map((stage) => entry("stage", words[part]?.[stage.name] ?? stage.name, stage.ms)),
    ]),
  );
  return el(
    "details",
    { open: isOpen },
    el("summary", { text: "How long each hop took" }),
    list,
    el("p", { class: "request", text: requestId }),
  );
}
