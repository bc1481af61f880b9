// A call of the client as it travels: path, query and body of a row of the route table.
import type { ImageInput } from "../contracts/image.ts";
import { pathFields } from "../routes.ts";
import type { Route } from "../routes/route.ts";

/** A picture as the API takes it, or its file's bytes, which are sent as they are (multipart). */
export type ClientImage = ImageInput | { readonly bytes: Uint8Array };

export type Fields = Readonly<Record<string, unknown>> & { readonly image?: ClientImage };

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
  const { image, ...options } = rest as Fields;
  if (input.kind === "image" && image !== undefined && "bytes" in image) {
    const form = new FormData();
    form.set("request", JSON.stringify(options));
    form.set("image", new Blob([new Uint8Array(image.bytes)]), "image");
    return { path, body: form };
  }
  return { path, contentType: "application/json", body: JSON.stringify(rest) };
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

function searchOf(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.toString();
}
