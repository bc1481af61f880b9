// Finding pictures: by words, by a picture or by both, in one namespace; the hits page by page, or "no match".
import type { SearchHit, SearchResponse } from "@blip2-edge/shared/contracts/search";
import { askApi } from "./ask-api.ts";
import type { CallFacts } from "./call.ts";
import { byId, el, onSubmit } from "./dom.ts";
import type { Receiver } from "./given.ts";
import { hitItem, scoreSaid } from "./hits.ts";
import { indexSection } from "./index-section.ts";
import type { KeyBox } from "./key.ts";
import { factsUnder } from "./note.ts";
import { queryPictureBox, withQueryPicture, type QueryPicture } from "./query-picture.ts";
import { thumbnail } from "./thumbnail.ts";
import { sayMs } from "./timings.ts";

export interface SearchView extends Receiver {
  /** What waited for a key is done. */
  keyGiven(): void;
}

interface Query {
  readonly namespace: string;
  readonly text: string | undefined;
  readonly picture: QueryPicture | undefined;
  readonly hybrid: boolean;
  readonly rerank: boolean;
  /** 0: what the model's calibration would leave out too. */
  readonly min_score: 0 | undefined;
}

const hitsAtOnce = 12;

export function searchView(key: KeyBox): SearchView {
  const words = byId("query", HTMLInputElement);
  const namespace = byId("namespace", HTMLInputElement);
  const near = byId("near", HTMLInputElement);
  const hybrid = byId("hybrid", HTMLInputElement);
  const judge = byId("judge", HTMLInputElement);
  const told = byId("found", HTMLElement);
  const list = byId("hits", HTMLOListElement);
  const more = byId("more", HTMLButtonElement);
  const facts = byId("search-facts", HTMLElement);
  let current = new AbortController();
  let waits = false;
  let asked: { readonly query: Query; readonly cursor: string | undefined } | undefined;

  const box = queryPictureBox(() => {
    const picture = box.current();
    index.show(picture?.kind === "given" ? picture.picture : undefined, picture?.name ?? "");
    void run();
  });
  const index = indexSection({
    key,
    namespace: () => namespace.value.trim(),
    filled() {
      if (words.value.trim() === "") words.value = words.placeholder;
      void run();
    },
  });

  function queryNow(): Query | undefined {
    const text = words.value.trim();
    const picture = box.current();
    if (text === "" && picture === undefined) return undefined;
    return {
      namespace: namespace.value.trim(),
      text: text === "" ? undefined : text,
      picture,
      // They are about words.
      hybrid: text !== "" && hybrid.checked,
      rerank: text !== "" && judge.checked,
      min_score: near.checked ? 0 : undefined,
    };
  }

  const ask = (query: Query, cursor: string | undefined, signal: AbortSignal) =>
    askApi(key, told, signal, (client) =>
      withQueryPicture(query.picture, (image) => {
        const { picture: _, ...fields } = query;
        return client.search({ ...fields, image, top_k: hitsAtOnce, cursor }, { signal });
      }),
    );

  async function run(): Promise<void> {
    current.abort();
    current = new AbortController();
    const { signal } = current;
    const query = queryNow();
    list.replaceChildren();
    facts.replaceChildren();
    told.replaceChildren();
    more.hidden = true;
    asked = undefined;
    if (query === undefined) return;
    waits = key.value() === "";
    const called = await ask(query, undefined, signal);
    if (called === undefined) return;
    asked = { query, cursor: called.answer.cursor };
    told.replaceChildren(...verdict(called.answer, query, showNear));
    index.offer(called.answer.model === null);
    add(called.answer);
    facts.replaceChildren(factsOf(called.facts, called.answer));
  }

  function showNear(): void {
    near.checked = true;
    // What was pressed is gone.
    near.focus();
    void run();
  }

  async function goOn(): Promise<void> {
    if (asked?.cursor === undefined) return;
    const { query, cursor } = asked;
    const called = await ask(query, cursor, current.signal);
    if (called === undefined) return;
    asked = { query, cursor: called.answer.cursor };
    const [first] = add(called.answer);
    told.replaceChildren(el("p", { text: `${list.children.length} pictures, best first.` }));
    facts.replaceChildren(factsOf(called.facts, called.answer));
    // The button may be gone, and what is new is what was asked for.
    first?.querySelector("button")?.focus();
  }

  function add(answer: SearchResponse): HTMLElement[] {
    const items = answer.hits.map((hit) => hitItem(hit, answer, () => like(hit)));
    list.append(...items);
    more.hidden = answer.cursor === undefined;
    return items;
  }

  function like(hit: SearchHit): void {
    const name = hit.title ?? hit.caption ?? hit.id;
    words.value = "";
    box.takeHit(hit.image_id, name, thumbnail(hit.thumbnail_url, name));
    // What was pressed is gone.
    byId("at-hand-away", HTMLButtonElement).focus();
  }

  onSubmit(byId("search-form", HTMLFormElement), () => {
    if (queryNow() === undefined) return words.focus();
    return void run();
  });
  more.addEventListener("click", () => void goOn());

  return {
    take: box.take,
    refuse: () => told.replaceChildren(el("p", { class: "problem", text: "That was no picture." })),
    over: box.over,
    keyGiven() {
      if (waits) void run();
    },
  };
}

function verdict(
  answer: SearchResponse,
  { picture, text }: Query,
  showNear: () => void,
): HTMLElement[] {
  const { namespace, model, min_score: least, no_match: isNone, calibrated, hits } = answer;
  const said = (words: string): HTMLElement => el("p", { text: words });
  if (!isNone) {
    const what = calibrated
      ? "The score is the probability that a picture answers."
      : "The score is a similarity: it orders pictures, and does not say which are near enough.";
    const count = hits.length === 1 ? "One picture." : `${hits.length} pictures, best first.`;
    return [said(`${count} ${what}`)];
  }
  const about = `“${text ?? picture?.name ?? ""}”`;
  const why =
    model === null
      ? `Nothing is indexed in “${namespace}” yet.`
      : least === 0
        ? `Nothing in “${namespace}” is near ${about}.`
        : `Nothing in “${namespace}” reaches ${scoreSaid(least, answer)} for ${about}.`;
  const none = [el("p", { class: "voice", text: "No match." }), said(why)];
  if (least === 0) return none;
  const all = el("button", { type: "button", class: "quiet", text: "Show near misses" });
  all.addEventListener("click", showNear);
  return [...none, all];
}

function factsOf(facts: CallFacts, { model, vision_passes: passes }: SearchResponse): HTMLElement {
  const looks = passes === 0 ? "no look at a picture" : `${passes} looks at pictures`;
  const line = el(
    "p",
    { class: "note" },
    el("span", { text: sayMs(facts.times.totalMs) }),
    el("span", { text: passes === 1 ? "one look at a picture" : looks }),
    ...(model === null ? [] : [el("span", { text: model })]),
  );
  return factsUnder(line, facts);
}
