// Which URLs a picture may be fetched from: the first wall against SSRF. It judges the URL alone, on
// every hop; names that resolve to private addresses are stopped by the network (the second wall:
// workerd's address filter locally, `global_fetch_strictly_public` in production).
// Everything is refused that is not plainly public. Reasons are for the log, never for the caller.
import ipaddr from "ipaddr.js";

export interface UrlPolicy {
  readonly ports: readonly number[];
  /** Exact origins, `host:port` in lower case, that are let through to the private network. */
  readonly allowPrivate: readonly string[];
}

export type UrlVerdict =
  | { readonly ok: true; readonly url: URL; readonly via: "internet" | "private" }
  | { readonly ok: false; readonly reason: string };

const refused = (reason: string): UrlVerdict => ({ ok: false, reason });
const maxUrlCharacters = 8192;

/** Top-level names that no public resolver answers, or that inner networks use (RFC 6761, 6762, 8375). */
const innerSuffixes = [
  "localhost",
  "localdomain",
  "local",
  "internal",
  "intranet",
  "private",
  "corp",
  "home",
  "lan",
  "home.arpa",
  "in-addr.arpa",
  "ip6.arpa",
  "test",
  "invalid",
  "onion",
  "alt",
  "svc",
  "consul",
  // Metadata services behind names that look public.
  "tencentyun.com",
  "metadata.platformequinix.com",
  "metadata.packet.net",
];

/** Anyone's names that resolve to whatever address the name says, or to one after another (rebinding). */
const resolvingAsAsked = [
  "nip.io",
  "sslip.io",
  "xip.io",
  "localtest.me",
  "lvh.me",
  "vcap.me",
  "lacolhost.com",
  "rbndr.us",
  "1u.ms",
];

/** In public ranges, and yet a platform's own: Azure's WireServer. */
const platformAddresses = ["168.63.129.16"];

/** The port a URL goes to; URL leaves it empty for the scheme's own. */
const portOf = (url: URL): number =>
  url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);

/** Why an address is not public, or undefined. Takes every form that ipaddr.js reads, without brackets. */
function addressFault(host: string): string | undefined {
  if (!ipaddr.isValid(host)) return undefined;
  const address = ipaddr.parse(host);
  const range = address.range();
  if (platformAddresses.includes(address.toString())) return "address:platform";
  if (address.kind() === "ipv4") return range === "unicast" ? undefined : `address:${range}`;
  if (range !== "unicast") return `address:${range}`;
  const bytes = address.toByteArray();
  // Only 2000::/3 is given out as global unicast (RFC 4291 2.4); this also drops IPv4-compatible
  // ::/96, site-local fec0::/10, local NAT64 64:ff9b:1::/48 and whatever comes next.
  if (((bytes[0] ?? 0) & 0xe0) !== 0x20) return "address:not_global_unicast";
  // ISATAP (RFC 5214) hides an IPv4 address behind any prefix.
  if (
    ((bytes[8] ?? 0) & 0xfd) === 0 &&
    bytes[9] === 0 &&
    bytes[10] === 0x5e &&
    bytes[11] === 0xfe
  ) {
    return "address:isatap";
  }
  return undefined;
}

function nameFault(host: string): string | undefined {
  const labels = host.split(".");
  if (labels.length < 2) return "name:single_label";
  if (host.length > 253) return "name:too_long";
  if (!labels.every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) {
    return "name:malformed";
  }
  const under = (suffix: string): boolean => `.${host}`.endsWith(`.${suffix}`);
  const suffix = innerSuffixes.find(under);
  if (suffix !== undefined) return `name:inner_suffix:${suffix}`;
  const service = resolvingAsAsked.find(under);
  if (service !== undefined) return `name:resolves_as_asked:${service}`;
  // The URL parser has already read every numeric form as IPv4; what still ends in a number is a trick.
  if (/^(?:0x[0-9a-f]*|\d+)$/.test(labels.at(-1) ?? "")) return "name:ends_in_number";
  return undefined;
}

/** Judges one URL. `base` is the URL whose redirect led here. */
export function checkUrl(text: string, policy: UrlPolicy, base?: URL): UrlVerdict {
  if (text.length > maxUrlCharacters) return refused("too_long");
  let url: URL;
  try {
    url = new URL(text, base);
  } catch {
    return refused("not_a_url");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") return refused("scheme");
  if (url.username !== "" || url.password !== "") return refused("credentials");
  // Read as a slash here and as a part of the name elsewhere; no plain URL has one.
  if (text.includes("\\")) return refused("backslash");
  url.hash = "";
  const port = portOf(url);

  if (policy.allowPrivate.includes(`${url.hostname}:${port}`))
    return { ok: true, url, via: "private" };
  if (!policy.ports.includes(port)) return refused(`port:${port}`);

  // One trailing dot makes a name absolute and changes nothing else; two are not a name.
  const host = url.hostname.replace(/\.$/, "").toLowerCase();
  const bare = host.replace(/^\[|\]$/g, "");
  const fault = addressFault(bare) ?? (ipaddr.isValid(bare) ? undefined : nameFault(host));
  return fault === undefined ? { ok: true, url, via: "internet" } : refused(fault);
}
