// Which scope of a key each tool needs, for whoever lets calls in: who has too little is told before the tool runs
// what to ask for.
import type { Scope } from "@blip2-edge/shared/contracts/keys";

export const toolScopes: Readonly<Record<string, Scope>> = {
  caption_image: "infer",
  ask_image: "infer",
  match_image_text: "infer",
  search_images: "search",
  index_image: "index",
  get_image: "search",
};

interface Message {
  readonly method?: unknown;
  readonly params?: { readonly name?: unknown };
}

/** What the calls in a message, or in a list of them, need; nothing for what is no call of a tool. */
export function scopesOfCalls(body: Uint8Array): Scope[] {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    // What it is will be said by who reads it.
    return [];
  }
  const messages: readonly unknown[] = Array.isArray(value) ? value : [value];
  return messages.flatMap((message) => {
    if (typeof message !== "object" || message === null) return [];
    const { method, params } = message as Message;
    const name = params?.name;
    if (method !== "tools/call" || typeof name !== "string") return [];
    return Object.hasOwn(toolScopes, name) ? [toolScopes[name] ?? "infer"] : [];
  });
}
