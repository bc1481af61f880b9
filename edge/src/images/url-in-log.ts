// How a URL stands in the log: as it was written, so that every trick can be told from the next, but for what
// may be a secret. Credentials, paths and queries are, and so is the picture in a data URL.

const maxLoggedCharacters = 200;
/** Scheme and slashes of any number and kind, authority, rest. */
const parts = /^([^:/\\?#@]*:[/\\]*|[/\\]*)([^/\\?#]*)([^]*)$/;

export function urlInLog(text: string): string {
  const [, scheme, after = ""] = /^\s*([a-z][a-z0-9+.-]{0,30}):([^]*)$/i.exec(text) ?? [];
  if (scheme !== undefined && !/^https?$/i.test(scheme)) {
    // What follows has no host that would matter. What looks like a scheme may be the name of a user.
    const isUser = after.includes("@") && !/^[/\\]/.test(after);
    return JSON.stringify(isUser ? "[secret]@…" : `${scheme.toLowerCase()}:…`);
  }
  const [, head = "", authority = "", rest = ""] = parts.exec(text) ?? [];
  // Credentials with a slash in them: what stands before it is no host.
  if (rest.split(/[?#]/)[0]?.includes("@") === true) return JSON.stringify(`${head}[secret]@…`);
  const at = authority.lastIndexOf("@");
  const host = at < 0 ? authority : `[secret]${authority.slice(at)}`;
  const more = rest === "" || rest === "/" ? rest : `${rest.charAt(0)}…`;
  return JSON.stringify(`${head}${host}`.slice(0, maxLoggedCharacters) + more);
}
