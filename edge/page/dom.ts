// The few things that the page does to its document. Text is always set as text: no HTML is ever parsed.

type Props = Readonly<Record<string, string | boolean | undefined>>;

/** An element with attributes, `text` and `class` among them, and children. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  { text, ...attributes }: Props = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (typeof value === "string") element.setAttribute(name, value);
  }
  if (typeof text === "string") element.textContent = text;
  element.append(...children);
  return element;
}

/** The element of the page with this id, which index.html has. */
export function byId<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`the page has no ${kind.name} with the id ${id}`);
}

/** Runs `work` when a form is sent, by key or button, and keeps the page where it is. */
export function onSubmit(form: HTMLFormElement, work: () => void): void {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    work();
  });
}
