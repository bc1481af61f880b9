// Which key a person acts with whom Cloudflare Access names: what the setting ACCESS_KEYS says.

/** `ada@example.com` or `*@example.com`, and the id of a key. */
export interface KeyOfPersons {
  readonly who: string;
  readonly keyId: string;
}

const entryPattern = /^((?:\*|[^\s@=,*]+)@[^\s@=,*]+)=([0-9A-Za-z]{1,32})$/;

/** One entry of the setting; undefined when it is not of that form. */
export function readKeyOfPersons(entry: string): KeyOfPersons | undefined {
  const [, who, keyId] = entryPattern.exec(entry) ?? [];
  if (who === undefined || keyId === undefined) return undefined;
  return { who: who.toLowerCase(), keyId };
}

/** A person's own entry before that of their domain; undefined: they must show a key. */
export function keyOfPerson(entries: readonly KeyOfPersons[], person: string): string | undefined {
  const domain = person.slice(person.lastIndexOf("@"));
  const at = (who: string) => entries.find((entry) => entry.who === who)?.keyId;
  return at(person) ?? at(`*${domain}`);
}
