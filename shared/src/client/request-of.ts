// A call of the client as it travels: path, query and body of a row of the route table.
import type { ImageInput } from "../contracts/image.ts";
import { pathFields } from "../routes.ts";
import type { Route } from "../routes/route.ts";

/** A picture as the API takes it, or its file's bytes, which are sent as they are (multipart). */
export type ClientImage = ImageInput | { readonly bytes: Uint8Array };

export type Fields = Readonly<Record<string, unknown>> & {
  readonly image?: ClientImage;
  /** Of a row of the kind `images`. */
  readonly images?: readonly EntryFields[];
};
type EntryFields = Readonly<Record<string, unknown>> & { readonly image?: ClientImage };

export interface TravellingRequest {
  /** With its fields in it, and the query. */
  readonly path: string;
  readonly contentType?: string;
  readonly body?: string | FormData;
}

export function requestOf({ path: template, input }: Route, fields: Fields): TravellingRequest {
  const inPath = pathFields(template);
  const path = inPath.reduce(
    (path, name) => path.replace(`{${name}}`, () => encodeURIComponent(String(fields[name]))),
    template,
  );
  const rest = Object.fromEntries(
    Object.entries(fields).filter(([name]) => !inPath.includes(name)),
  );
  if (input.kind === "none") return { path };
  if (input.kind === "query") {
    const search = searchOf(rest as Query);
    return { path: search === "" ? path : `${path}?${search}` };
  }
  const { image, images, ...options } = rest as Fields;
  if (input.kind === "image" && hasBytes(image)) {
    return { path, body: formOf(options, [image]) };
  }
  if (input.kind === "images" && images?.some((entry) => hasBytes(entry.image)) === true) {
    const files = images.map((entry) => entry.image).filter(hasBytes);
    const withoutFiles = images.map(({ image: own, ...entry }) =>
      hasBytes(own) ? entry : { ...entry, image: own },
    );
    return { path, body: formOf({ ...options, images: withoutFiles }, files) };
  }
  return { path, contentType: "application/json", body: JSON.stringify(rest) };
}

interface ImageBytes {
  readonly bytes: Uint8Array;
}
const hasBytes = (image: ClientImage | undefined): image is ImageBytes =>
  image !== undefined && "bytes" in image;

function formOf(request: object, files: readonly ImageBytes[]): FormData {
  const form = new FormData();
  form.set("request", JSON.stringify(request));
  for (const { bytes } of files) {
    form.append("image", new Blob([new Uint8Array(bytes)]), "image");
  }
  return form;
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

function searchOf(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.toString();
}
