// Which of the views is shown stands in the address behind `#`, so that links, bookmarks and the way back work. At
// /review it is the review where nothing else is said. Behind `&` a view keeps what is its own.
import { byId } from "./dom.ts";

const views = {
  look: { title: "What is in this picture?", skip: "Skip to the picture", to: "#frame" },
  search: { title: "Find a picture", skip: "Skip to the search", to: "#query" },
  review: { title: "Review the words", skip: "Skip to the suggestions", to: "#waiting" },
} as const;
export type View = keyof typeof views;
const names = Object.keys(views) as View[];

const home: View = location.pathname.endsWith("/review") ? "review" : "look";

/** Other places of the page are no views. */
function viewIn(hash: string): View | undefined {
  if (hash === "") return home;
  const [first = ""] = hash.slice(1).split("&");
  return names.find((name) => name === first);
}

/** Shows what the address says, and what it says later; `changed` hears of it. Gives the view that is shown. */
export function showViews(changed: (view: View) => void): () => View {
  let shown = home;
  const show = (next: View): void => {
    shown = next;
    for (const name of names) {
      byId(name, HTMLElement).hidden = name !== next;
      const link = byId(`to-${name}`, HTMLAnchorElement);
      if (name === next) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const { title, skip, to } = views[next];
    document.title = `${title} · blip2-edge`;
    const skipper = byId("skip", HTMLAnchorElement);
    skipper.textContent = skip;
    skipper.setAttribute("href", to);
    changed(next);
  };
  addEventListener("hashchange", () => {
    const next = viewIn(location.hash);
    if (next === undefined || next === shown) return;
    show(next);
    // Who came by a link goes on from the view's head.
    byId(next, HTMLElement).querySelector("h1")?.focus();
  });
  show(viewIn(location.hash) ?? home);
  return () => shown;
}
