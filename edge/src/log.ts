// One wide event per request, as one line of JSON. Rooms add what they know; nothing else is logged. Which
// fields there are, and what never is in one, says docs/edge-observability.md. Secrets do not belong in it, and
// `redact` takes out what slips in: keys, credentials and query strings.

export type LogValue = string | number | boolean | null | undefined | readonly string[];
export type LogEvent = Record<string, LogValue>;
export type WriteLine = (line: string) => void;

const keyText = /\bb2e_([0-9A-Za-z]{1,12})_?[0-9A-Za-z]*/g;
/** Tokens and codes of OAuth: grant, the library's own name of it, secret. */
const agentText = /\b(grt_[0-9a-f]{1,32}):[^\s"]+/g;
const bearerText = /\b(bearer|basic)\s+[^\s"',;]+/gi;
const queryText = /(\bhttps?:[/\\]+[^\s"'?#]*)\?[^\s"']*/gi;
const credentialsText = /(\b[a-z][a-z0-9+.-]*:[/\\]+)[^\s"'/?#@\\]+@/gi;
const dataText = /\bdata:[^\s"',]*,[^\s"']*/gi;
const maxLogCharacters = 2000;

/** Takes keys, bearer tokens, URL credentials and query strings out of a text. */
export function redact(text: string): string {
  return text
    .slice(0, maxLogCharacters)
    .replaceAll(keyText, "b2e_$1_[secret]")
    .replaceAll(agentText, "$1:[secret]")
    .replaceAll(bearerText, "$1 [secret]")
    .replaceAll(credentialsText, "$1[secret]@")
    .replaceAll(queryText, "$1?[query]")
    .replaceAll(dataText, "data:[data]");
}

export function writeEvent(event: LogEvent, write: WriteLine): void {
  const clean: LogEvent = {};
  for (const [name, value] of Object.entries(event)) {
    if (value !== undefined) clean[name] = redacted(value);
  }
  write(JSON.stringify(clean));
}

const redacted = (value: LogValue): LogValue =>
  typeof value === "string"
    ? redact(value)
    : typeof value === "object" && value !== null
      ? value.map(redact)
      : value;

/** An error with its causes, for the log only. What a parser says of a text quotes the text. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let at = error, depth = 0; at !== undefined && depth < 5; depth++) {
    if (at instanceof SyntaxError) parts.push(at.name);
    else parts.push(at instanceof Error ? `${at.name}: ${at.message}` : `a thrown ${typeof at}`);
    at = at instanceof Error ? at.cause : undefined;
  }
  return parts.join(" <- ");
}
