// Indexing: the picture at hand under an id of the user's, or the three samples, so that there is something to find.
// It replaces nothing: an id that is taken is told of.
import type { Client } from "@blip2-edge/shared/client";
import type { ImageRecord } from "@blip2-edge/shared/contracts/images";
import { AppError } from "@blip2-edge/shared/problem";
import { askApi } from "./ask-api.ts";
import { byId, el, onSubmit } from "./dom.ts";
import type { KeyBox } from "./key.ts";
import { withImage, type Picture } from "./picture.ts";
import { samples } from "./samples.ts";

export interface IndexSection {
  /** From here on it is this picture that would be indexed. */
  show(picture: Picture | undefined, name: string): void;
  /** Whether to offer the samples. */
  offer(isEmpty: boolean): void;
}

export interface IndexOptions {
  readonly key: KeyBox;
  readonly namespace: () => string;
  /** There is something to find. */
  readonly filled: () => void;
}

/** As an id may be written; of a file's name what such an id may hold. */
const idFrom = (name: string): string =>
  name
    .replaceAll(/[^A-Za-z0-9_.:@+=~-]+/g, "-")
    .replace(/^[^A-Za-z0-9_]+/, "")
    .slice(-200) || "picture";

export function indexSection({ key, namespace, filled }: IndexOptions): IndexSection {
  const id = byId("record-id", HTMLInputElement);
  const title = byId("record-title", HTMLInputElement);
  const told = byId("indexed", HTMLElement);
  const offer = byId("samples-offer", HTMLElement);
  const toldOfSamples = byId("samples-put", HTMLElement);
  let current = new AbortController();
  let picture: Picture | undefined;

  async function index(): Promise<void> {
    const about = picture;
    if (about === undefined) return;
    const { signal } = current;
    const at = { namespace: namespace(), id: id.value.trim() };
    const words = title.value.trim();
    told.replaceChildren("Indexing…");
    const called = await askApi(key, told, signal, async (client) => {
      if (await isTaken(client, at, signal)) return undefined;
      return withImage(about, (image) =>
        client.imagePut({ ...at, image, ...(words === "" ? {} : { title: words }) }, { signal }),
      );
    });
    if (called === undefined) return;
    const record = called.answer;
    if (record === undefined) {
      told.replaceChildren(
        el("p", {
          class: "problem",
          role: "alert",
          text: `“${at.id}” is there already. Choose another id.`,
        }),
      );
      return id.focus();
    }
    about.imageId = record.image_id;
    told.replaceChildren(...saidOf(record));
    offer.hidden = true;
  }

  async function putSamples(): Promise<void> {
    const at = namespace();
    toldOfSamples.replaceChildren("Indexing…");
    const { signal } = new AbortController();
    const called = await askApi(key, toldOfSamples, signal, async (client) => {
      for (const { name, alt, file } of samples) {
        const own = { namespace: at, id: `sample-${name}` };
        if (await isTaken(client, own, signal)) continue;
        const image = { bytes: new Uint8Array(await file.arrayBuffer()) };
        await client.imagePut({ ...own, image, title: alt });
      }
    });
    if (called === undefined) return;
    toldOfSamples.replaceChildren();
    offer.hidden = true;
    filled();
  }

  onSubmit(byId("index-form", HTMLFormElement), () => void index());
  byId("put-samples", HTMLButtonElement).addEventListener("click", () => void putSamples());
  return {
    show(next, name) {
      current.abort();
      current = new AbortController();
      picture = next;
      id.value = idFrom(name);
      title.value = "";
      told.replaceChildren();
    },
    offer(isEmpty) {
      offer.hidden = !isEmpty;
    },
  };
}

async function isTaken(
  client: Client,
  at: { readonly namespace: string; readonly id: string },
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await client.imageRead(at, { signal });
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === "not_found") return false;
    throw error;
  }
}

function saidOf({ id, namespace, caption, duplicate_of: twin }: ImageRecord): HTMLElement[] {
  const said = (text: string): HTMLElement => el("p", { text });
  return [
    said(`Indexed as “${id}” in “${namespace}”.`),
    ...(caption === null ? [] : [el("p", { class: "said", text: caption })]),
    ...(twin === undefined ? [] : [said(`It is the same picture as “${twin}”.`)]),
  ];
}
