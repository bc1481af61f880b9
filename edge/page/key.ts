// The API key: in this page's memory, and in the tab's sessionStorage only where the user asked for that. A local
// stack's start prints a link with the key behind `#`, which no browser sends to a server; it is taken on loopback
// alone, so that no link makes somebody's pictures another's, and leaves the address bar at once (docs/decisions/0113).
import { byId, onSubmit } from "./dom.ts";

const storageName = "blip2-edge key";
const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/;

export interface KeyBox {
  /** Empty until there is one. */
  value(): string;
  /** Says why a key is needed and puts the cursor there. */
  wanted(why: string): void;
}

function keyInAddress(): string {
  const key = new URLSearchParams(location.hash.slice(1)).get("key") ?? "";
  if (key === "") return "";
  const rest = location.hash
    .slice(1)
    .split("&")
    .filter((part) => !part.startsWith("key="))
    .join("&");
  const hash = rest === "" ? "" : `#${rest}`;
  history.replaceState(null, "", location.pathname + location.search + hash);
  return loopback.test(location.hostname) ? key : "";
}

/** Browsers may forbid the storage; then there is nothing in it. */
function stored(): string {
  try {
    return sessionStorage.getItem(storageName) ?? "";
  } catch {
    return "";
  }
}

function store(key: string | undefined): void {
  try {
    if (key === undefined) sessionStorage.removeItem(storageName);
    else sessionStorage.setItem(storageName, key);
  } catch {
    // Then it lives as long as the page.
  }
}

export function keyBox(given: (key: string) => void): KeyBox {
  const form = byId("key-form", HTMLFormElement);
  const input = byId("key", HTMLInputElement);
  const keep = byId("key-keep", HTMLInputElement);
  const problem = byId("key-problem", HTMLElement);
  const show = byId("key-change", HTMLButtonElement);
  let value = "";

  const openForm = (isOpen: boolean): void => {
    form.hidden = !isOpen;
    show.hidden = isOpen;
  };
  const tell = (why: string): void => {
    problem.textContent = why;
    input.setAttribute("aria-invalid", String(why !== ""));
  };
  const take = (key: string): void => {
    value = key;
    tell("");
    openForm(false);
    // Enough to tell keys apart; the secret stays out of sight.
    const id = /^b2e_[0-9A-Za-z]{1,4}/.exec(key)?.[0];
    show.textContent = id === undefined ? "Key is set" : `Key ${id}…`;
    given(key);
  };

  onSubmit(form, () => {
    const key = input.value.trim();
    if (!/^[\x21-\x7e]{1,256}$/.test(key)) {
      tell("A key is 1 to 256 characters without spaces.");
      return input.focus();
    }
    store(keep.checked ? key : undefined);
    input.value = "";
    return take(key);
  });
  show.addEventListener("click", () => {
    openForm(true);
    input.focus();
  });

  const inAddress = keyInAddress();
  const first = inAddress === "" ? stored() : inAddress;
  keep.checked = first !== "" && first === stored();
  if (first === "") openForm(true);
  else take(first);

  return {
    value: () => value,
    wanted(why) {
      openForm(true);
      tell(why);
      input.focus();
    },
  };
}
