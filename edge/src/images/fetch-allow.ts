// The hosts to which a key's picture URLs are limited: `host`, `host:port` or `*.suffix`, each also with
// a port. Without a port every port is meant that the guard lets through. A pattern that is none of these
// lets nothing through.

const portOf = (url: URL): string => url.port || (url.protocol === "https:" ? "443" : "80");

/** A host as URLs write it (lower case, punycode, no trailing dot), or undefined. */
function hostOf(text: string): string | undefined {
  try {
    const { hostname } = new URL(`http://${text}/`);
    return hostname.replace(/\.$/, "");
  } catch {
    return undefined;
  }
}

function matches(pattern: string, host: string, port: string): boolean {
  const parts = /^(\*\.)?(\[[0-9a-f:.]+\]|[^\s/:@?#*\\[\]]+)(?::(\d{1,5}))?$/i.exec(pattern.trim());
  if (parts === null) return false;
  const [, wildcard, name = "", onlyPort] = parts;
  if (onlyPort !== undefined && Number(onlyPort) !== Number(port)) return false;
  const wanted = hostOf(name);
  if (wanted === undefined) return false;
  return wildcard === undefined ? host === wanted : host.endsWith(`.${wanted}`);
}

/** Whether a URL that the guard has passed is within the patterns; none of them means no limit. */
export function isFetchAllowed(url: URL, patterns: readonly string[]): boolean {
  const host = url.hostname.replace(/\.$/, "");
  return patterns.length === 0 || patterns.some((pattern) => matches(pattern, host, portOf(url)));
}
