// Who may announce which nodes: for each signing key the origins that the operator allows to it. A node that
// is broken into can so speak for itself alone, and draw no other node's pictures to another machine.

export interface AllowedOrigin {
  readonly keyId: string;
  readonly protocol: "http:" | "https:";
  /** Without the label that stands for the star. */
  readonly host: string;
  readonly anyFirstLabel: boolean;
  /** Undefined: any. */
  readonly port: string | undefined;
}

const entryPattern =
  /^([\w.-]{1,64})=(https?):\/\/(\*\.)?([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}|\*))?$/i;
const defaultPorts = { "http:": "80", "https:": "443" } as const;

/** Reads `key-id=origin`; undefined when it is none. `*` may stand for the first label, and for the port. */
export function readAllowedOrigin(entry: string): AllowedOrigin | undefined {
  const [, keyId, scheme, star, host, port] = entryPattern.exec(entry) ?? [];
  if (keyId === undefined || scheme === undefined || host === undefined) return undefined;
  const protocol = scheme.toLowerCase() === "http" ? "http:" : "https:";
  return {
    keyId,
    protocol,
    host: host.toLowerCase(),
    anyFirstLabel: star !== undefined,
    port: port === "*" ? undefined : (port ?? defaultPorts[protocol]),
  };
}

/** The origin that is announced, if the key may announce it. */
export function announcedOrigin(
  allowed: readonly AllowedOrigin[],
  keyId: string,
  text: string,
): string | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return undefined;
  }
  const { protocol, hostname, port, pathname, search, hash, username, password } = url;
  if (pathname !== "/" || search + hash + username + password !== "") return undefined;
  const fits = allowed.some(
    (entry) =>
      entry.keyId === keyId &&
      entry.protocol === protocol &&
      hostname.replace(entry.anyFirstLabel ? /^[^.]+\./ : "", "") === entry.host &&
      (entry.port === undefined || entry.port === (port || defaultPorts[entry.protocol])),
  );
  return fits ? url.origin : undefined;
}
