// Which calls take comparably long: those of one route and model, of about the same amount of work, with or
// without a picture to be looked at, whole or up to the first text.
import type { NodeAsked, NodeCall } from "./calls.ts";

export function latencyKind<Asked extends NodeAsked>(
  { path, work }: Pick<NodeCall<Asked, never>, "path" | "work">,
  asked: Asked,
  { withPixels, streams }: { readonly withPixels: boolean; readonly streams: boolean },
): string {
  const size = streams ? 0 : Math.round(Math.log2(Math.max(1, work(asked))));
  return `${path} ${asked.model} ${size}${withPixels ? " pixels" : ""}${streams ? " stream" : ""}`;
}
