// Cache-Control and lists like it, as directives (RFC 9111 5.2).

/** Names in lower case; the first value of each, and undefined where there is none. */
export function directivesOf(header: string | null | undefined): Map<string, string | undefined> {
  const found = new Map<string, string | undefined>();
  const pattern = /([!#$%&'*+.^_`|~\w-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*)))?/g;
  for (const [, name = "", quoted, token] of (header ?? "").matchAll(pattern)) {
    const key = name.toLowerCase();
    if (!found.has(key)) found.set(key, quoted ?? token);
  }
  return found;
}
