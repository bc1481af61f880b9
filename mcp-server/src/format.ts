// Results and failures as MCP has them: text and structured content both filled, bounded in size, what was
// read from a picture quoted and marked as data. A failure says what was wrong and what to try.
import { AppError, toProblem, type ProblemCode } from "@blip2-edge/shared/problem";
import type { CallToolResult } from "@modelcontextprotocol/server";
import { untrustedNote, type ToolAnswer } from "./tools/tool.ts";

export function resultOf({ lines, structured, links = [], picture }: ToolAnswer): CallToolResult {
  return {
    content: [
      { type: "text", text: [untrustedNote, ...lines].join("\n") },
      ...links.map((link) => ({ type: "resource_link" as const, ...link })),
      ...(picture === undefined ? [] : [imageBlock(picture)]),
    ],
    structuredContent: { note: untrustedNote, ...structured },
  };
}

function imageBlock({ bytes, mimeType }: NonNullable<ToolAnswer["picture"]>) {
  // One by one: a call takes no arguments without end.
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return { type: "image" as const, data: btoa(binary), mimeType };
}

/** No structuredContent: clients would hold it to the schema of results. */
export function failureOf(error: unknown): CallToolResult {
  const known = error instanceof AppError ? error : new AppError("internal", "");
  return {
    isError: true,
    content: [{ type: "text", text: describeFailure(known) }],
    _meta: { "blip2-edge/problem": toProblem(known) },
  };
}

/** Longer than that no failure is told. */
const maxFailureBytes = 1200;

/** What was wrong, its code, and what to try. */
export function describeFailure(error: AppError): string {
  const { detail, kind, code, retryAfterS } = error;
  const wait = retryAfterS === undefined ? "" : ` in ${retryAfterS} s`;
  const advice =
    advices[code] ??
    (kind.retryable ? `Try the same call again${wait === "" ? " in a moment" : wait}.` : "");
  const what = cut(detail === "" ? `${kind.title}.` : detail, maxFailureBytes);
  return [`${what} (${code})`, advice].filter((part) => part !== "").join(" ");
}

const otherPicture = "Give another picture, or the same one converted to JPEG, PNG or WebP.";
const advices: Partial<Record<ProblemCode, string>> = {
  unauthorized: "Ask the user to check the API key of this server; a new call will not help.",
  forbidden: "Ask the user for a key with that scope; a new call will not help.",
  invalid_request: "Correct that argument and call again.",
  image_required: "Give the picture's URL or an image_id.",
  image_not_recognised: "Give the address of the picture's file, not of a page that shows it.",
  image_type_unsupported: otherPicture,
  image_corrupt: otherPicture,
  image_too_large: "Give a smaller copy.",
  fetch_too_large: "Give a smaller copy.",
  image_not_found: "Give the picture's URL once more; its result has the image_id.",
  image_pixels_gone: "Give the picture's URL once more; its result has the image_id.",
  url_refused: "Only public http(s) addresses can be fetched; give another URL.",
  fetch_failed: "Check the URL; give one that anyone can open without logging in.",
  model_not_found: "Leave `model` out, and the default is used.",
  prompt_too_long: "Shorten the text.",
  poison_request: otherPicture,
  api_unreachable: "Ask the user whether the blip2-edge server runs and its address is right.",
};

/**
 * Without what is not seen: control characters but line ends and tabs, format characters and tags, in which orders can
 * be hidden. Joiners stay, because scripts and emoji need them.
 */
export const plain = (text: string): string =>
  text.replaceAll(/(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\u{e0100}-\u{e01ef}]/gu, "");

/** At most that many bytes of UTF-8, whole characters, with … where something is missing; nothing that is not seen. */
export function cut(given: string, maxBytes: number): string {
  const text = plain(given);
  const encoder = new TextEncoder();
  if (encoder.encode(text).length <= maxBytes) return text;
  let kept = "";
  let bytes = encoder.encode("…").length;
  for (const { segment } of new Intl.Segmenter("en").segment(text)) {
    bytes += encoder.encode(segment).length;
    if (bytes > maxBytes) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** A picture's name as results repeat it: its end tells more than its beginning. */
export function nameOf(argument: string): string {
  const text = argument.replaceAll(/[\p{Cc}\p{Cf}]/gu, "");
  return text.length <= maxNameCharacters ? text : `…${text.slice(1 - maxNameCharacters)}`;
}
/** An image_id is not cut. */
const maxNameCharacters = 68;

/** What was looked at, as every result of one picture says it. */
export function pictureFacts(
  argument: string,
  {
    image_id,
    image_exact,
  }: { readonly image_id: string; readonly image_exact?: false | undefined },
) {
  const image = nameOf(argument);
  return {
    line: `Picture ${quote(image === image_id ? image : `${image} (${image_id})`)}`,
    fields: { image, image_id, ...(image_exact === undefined ? {} : { image_exact }) },
  };
}

/** Bytes for each of so many texts, so that all together stay short. */
export const shareOf = (count: number): number =>
  Math.min(maxTextBytes, Math.floor(allTextBytes / count));
const maxTextBytes = 1600;
const allTextBytes = 3200;

/** In quotes on one line, so that no word of it can pass for a line of ours. */
export const quote = (text: string): string => JSON.stringify(text);
export const rounded = (value: number): number => Number(value.toFixed(4));
