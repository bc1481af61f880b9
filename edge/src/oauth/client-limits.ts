// What a client that registers itself may say of itself, beyond what RFC 7591 and the library demand: anybody may
// register, so what is kept of one is small, and what people read of it is short.

const maxRedirects = 10;
const maxTextCharacters = 2_000;
const maxNameCharacters = 100;
/** Keys and the like may be objects; none is kept that is long. */
const maxFieldCharacters = 4_000;

/** What is wrong with a client's metadata, or undefined. */
export function faultOfClient(metadata: Readonly<Record<string, unknown>>): string | undefined {
  const { redirect_uris: redirects, client_name: name } = metadata;
  if (Array.isArray(redirects) && redirects.length > maxRedirects) {
    return `redirect_uris has more than ${maxRedirects} entries`;
  }
  if (typeof name === "string" && name.length > maxNameCharacters) {
    return `client_name has more than ${maxNameCharacters} characters`;
  }
  for (const [field, value] of Object.entries(metadata)) {
    const texts: readonly unknown[] = Array.isArray(value) ? value : [value];
    if (texts.some((text) => typeof text === "string" && text.length > maxTextCharacters)) {
      return `${field.slice(0, 40)} has a text of more than ${maxTextCharacters} characters`;
    }
    if (JSON.stringify(value).length > maxFieldCharacters)
      return `${field.slice(0, 40)} is too long`;
  }
  return undefined;
}
