// Which of the two views is shown stands in the address behind `#`, so that links, bookmarks and the way back work.
import { byId } from "./dom.ts";

const views = {
  look: { title: "What is in this picture?", skip: "Skip to the picture", to: "#frame" },
  search: { title: "Find a picture", skip: "Skip to the search", to: "#query" },
} as const;
export type View = keyof typeof views;
const names = Object.keys(views) as View[];

/** Other places of the page are no views. */
function viewIn(hash: string): View | undefined {
  if (hash === "") return "look";
  return names.find((name) => hash === `#${name}`);
}

/** Shows what the address says, and what it says later. Gives the view that is shown. */
export function showViews(): () => View {
  let shown: View = "look";
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
  };
  addEventListener("hashchange", () => {
    const next = viewIn(location.hash);
    if (next === undefined || next === shown) return;
    show(next);
    // Who came by a link goes on from the view's head.
    byId(next, HTMLElement).querySelector("h1")?.focus();
  });
  show(viewIn(location.hash) ?? "look");
  return () => shown;
}
