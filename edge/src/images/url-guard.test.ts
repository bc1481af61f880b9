import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkUrl, type UrlPolicy } from "./url-guard.ts";

const policy: UrlPolicy = { ports: [80, 443, 8080, 8443], allowPrivate: [] };

/** [URL, what the log must say]: each one leads, or pretends to lead, somewhere it must not. */
const refusedUrls: readonly (readonly [string, RegExp])[] = [
  // Schemes and forms
  ["file:///etc/passwd", /^scheme/],
  ["ftp://example.com/a.jpg", /^scheme/],
  ["gopher://example.com:70/_x", /^scheme/],
  ["data:image/png;base64,AAAA", /^scheme/],
  ["javascript:alert(1)", /^scheme/],
  ["blob:https://example.com/1", /^scheme/],
  ["ws://example.com/", /^scheme/],
  ["//example.com/a.jpg", /^not_a_url/],
  ["example.com/a.jpg", /^not_a_url/],
  ["http://", /^not_a_url/],
  ["http://exa mple.com/", /^not_a_url/],
  ["", /^not_a_url/],
  [`https://example.com/${"a".repeat(9000)}`, /^too_long/],
  // Credentials
  ["https://user@example.com/", /^credentials/],
  ["https://user:word@example.com/", /^credentials/],
  ["https://example.com@127.0.0.1/", /^credentials/],
  ["https://:word@example.com/", /^credentials/],
  // Ports
  ["http://example.com:22/", /^port:22/],
  ["http://example.com:25/", /^port:25/],
  ["http://example.com:6379/", /^port:6379/],
  ["https://example.com:9200/", /^port:9200/],
  // IPv4, in every notation the URL standard knows
  ["http://127.0.0.1/", /loopback/],
  ["http://127.0.0.1:8080/", /loopback/],
  ["http://127.8.8.8/", /loopback/],
  ["http://127.1/", /loopback/],
  ["http://127.0.1/", /loopback/],
  ["http://2130706433/", /loopback/],
  ["http://0x7f000001/", /loopback/],
  ["http://0x7f.0.0.1/", /loopback/],
  ["http://0177.0.0.1/", /loopback/],
  ["http://017700000001/", /loopback/],
  ["http://127.0.0.1./", /loopback/],
  ["http://１２７.０.０.１/", /loopback/],
  ["http://127。0。0。1/", /loopback/],
  ["http://⑫⑦.0.0.1/", /loopback/],
  ["http://%31%32%37.0.0.1/", /loopback/],
  ["http://0/", /unspecified/],
  ["http://0.0.0.0/", /unspecified/],
  ["http://0.1.2.3/", /unspecified/],
  ["http://10.0.0.1/", /private/],
  ["http://172.16.0.1/", /private/],
  ["http://172.31.255.255/", /private/],
  ["http://192.168.1.1/", /private/],
  ["http://169.254.169.254/latest/meta-data/", /linkLocal/],
  ["http://2852039166/", /linkLocal/],
  ["http://0xa9fea9fe/", /linkLocal/],
  ["http://0251.0376.0251.0376/", /linkLocal/],
  ["http://100.64.0.1/", /carrierGradeNat/],
  ["http://100.100.100.200/", /carrierGradeNat/],
  ["http://192.0.0.192/", /address:/],
  ["http://192.0.2.1/", /reserved/],
  ["http://198.18.0.1/", /address:/],
  ["http://198.51.100.7/", /reserved/],
  ["http://203.0.113.7/", /reserved/],
  ["http://192.88.99.1/", /address:/],
  ["http://224.0.0.1/", /multicast/],
  ["http://240.0.0.1/", /reserved/],
  ["http://255.255.255.255/", /broadcast/],
  ["http://256.0.0.1/", /^not_a_url/],
  ["http://1.2.3.4.5/", /^not_a_url/],
  // IPv6
  ["http://[::1]/", /loopback/],
  ["http://[0:0:0:0:0:0:0:1]/", /loopback/],
  ["http://[::]/", /unspecified/],
  ["http://[::ffff:127.0.0.1]/", /ipv4Mapped/],
  ["http://[::ffff:7f00:1]/", /ipv4Mapped/],
  ["http://[::ffff:169.254.169.254]/", /ipv4Mapped/],
  ["http://[::127.0.0.1]/", /not_global_unicast/],
  ["http://[::ffff:0:127.0.0.1]/", /rfc6145/],
  ["http://[64:ff9b::127.0.0.1]/", /rfc6052/],
  ["http://[64:ff9b::a9fe:a9fe]/", /rfc6052/],
  ["http://[64:ff9b:1::a00:1]/", /address:/],
  ["http://[2002:7f00:1::]/", /6to4/],
  ["http://[2001:0:7f00:1::]/", /teredo/],
  ["http://[2001:db8::1]/", /address:reserved/],
  ["http://[2001:2::1]/", /address:/],
  ["http://[2001:10::1]/", /address:/],
  ["http://[3fff::1]/", /reserved/],
  ["http://[2001:100::1]/", /reserved/],
  ["http://[fe80::1]/", /linkLocal/],
  ["http://[fec0::1]/", /address:/],
  ["http://[fc00::1]/", /uniqueLocal/],
  ["http://[fd00:ec2::254]/", /uniqueLocal/],
  ["http://[ff02::1]/", /multicast/],
  ["http://[100::1]/", /address:/],
  ["http://[5f00::1]/", /address:/],
  ["http://[2a00:1450:4001:1::5efe:10.0.0.1]/", /isatap/],
  ["http://[fe80::1%25eth0]/", /^not_a_url/],
  // Names
  ["http://localhost/", /single_label/],
  ["http://LOCALHOST./", /single_label/],
  ["http://localhost../", /malformed/],
  ["http://a.localhost/", /inner_suffix:localhost/],
  ["http://a.localhost./", /inner_suffix:localhost/],
  ["http://ⓛocalhost/", /single_label/],
  ["http://printer.local/", /inner_suffix:local/],
  ["http://metadata.google.internal/computeMetadata/v1/", /inner_suffix:internal/],
  ["http://router.home.arpa/", /inner_suffix:home\.arpa/],
  ["http://nas.lan/", /inner_suffix:lan/],
  ["http://wiki.corp/", /inner_suffix:corp/],
  ["http://kubernetes.default.svc/", /inner_suffix:svc/],
  ["http://kubernetes.default.svc.cluster.local/", /inner_suffix:local/],
  ["http://x.onion/", /inner_suffix:onion/],
  ["http://1.0.0.127.in-addr.arpa/", /inner_suffix:in-addr\.arpa/],
  ["http://metadata/", /single_label/],
  ["http://intranet/", /single_label/],
  ["http://a..example.com/", /malformed|not_a_url/],
  ["http://-a.example.com/", /malformed/],
  [`http://${"a".repeat(64)}.example.com/`, /malformed/],
];

describe("refused", () => {
  test.each(refusedUrls)("%s", (url, reason) => {
    const verdict = checkUrl(url, policy);
    expect(verdict).toMatchObject({ ok: false });
    expect(verdict.ok ? "" : verdict.reason).toMatch(reason);
  });

  test("a redirect is judged as the place it leads to", () => {
    const base = new URL("https://example.com/pictures/a.jpg");
    expect(checkUrl("../b.jpg", policy, base)).toMatchObject({ ok: true });
    expect(checkUrl("//127.0.0.1/b.jpg", policy, base)).toMatchObject({ ok: false });
    expect(checkUrl("http://[::ffff:7f00:1]/", policy, base)).toMatchObject({ ok: false });
    expect(checkUrl("file:///etc/passwd", policy, base)).toMatchObject({ ok: false });
  });

  test("every address of the private and loopback blocks, in every number form", () => {
    const inside = fc.oneof(
      fc.integer({ min: 0x0a000000, max: 0x0affffff }),
      fc.integer({ min: 0x7f000000, max: 0x7fffffff }),
      fc.integer({ min: 0xa9fe0000, max: 0xa9feffff }),
      fc.integer({ min: 0xc0a80000, max: 0xc0a8ffff }),
      fc.integer({ min: 0xac100000, max: 0xac1fffff }),
    );
    fc.assert(
      fc.property(inside, (value) => {
        const [a, b, c, d] = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
        const low = value & 0xffff;
        const forms = [
          `${a}.${b}.${c}.${d}`,
          `0${a?.toString(8)}.${b}.${c}.${d}`,
          `0x${value.toString(16)}`,
          String(value),
          `${a}.${b}.${low}`,
          `[::ffff:${a}.${b}.${c}.${d}]`,
          `[64:ff9b::${a}.${b}.${c}.${d}]`,
        ];
        return forms.every((host) => !checkUrl(`http://${host}/x`, policy).ok);
      }),
    );
  });
});

describe("let through", () => {
  test.each([
    "https://example.com/a.jpg",
    "http://example.com/a.jpg?x=1#y",
    "https://example.com:8443/a.jpg",
    "https://example.com./a.jpg",
    "https://bücher.example/a.jpg",
    "http://93.184.216.34/a.jpg",
    "http://[2606:2800:220:1:248:1893:25c8:1946]/a.jpg",
    "https://localhost.example.com/a.jpg",
    "https://local.example.com/a.jpg",
    "https://s3.dualstack.eu-west-1.amazonaws.com/a_b/c.jpg",
  ])("%s", (url) => {
    expect(checkUrl(url, policy)).toMatchObject({ ok: true, via: "internet" });
  });

  test("an allowed private origin, on its own way, and nothing beside it", () => {
    const allowing: UrlPolicy = { ...policy, allowPrivate: ["127.0.0.1:9000", "localhost:80"] };
    expect(checkUrl("http://127.0.0.1:9000/a.jpg", allowing)).toMatchObject({
      ok: true,
      via: "private",
    });
    expect(checkUrl("http://127.1:9000/a.jpg", allowing)).toMatchObject({
      ok: true,
      via: "private",
    });
    expect(checkUrl("http://localhost/a.jpg", allowing)).toMatchObject({
      ok: true,
      via: "private",
    });
    expect(checkUrl("http://127.0.0.1:9001/a.jpg", allowing)).toMatchObject({ ok: false });
    expect(checkUrl("http://127.0.0.2:9000/a.jpg", allowing)).toMatchObject({ ok: false });
    expect(checkUrl("https://localhost/a.jpg", allowing)).toMatchObject({ ok: false });
    expect(checkUrl("http://u@127.0.0.1:9000/a.jpg", allowing)).toMatchObject({ ok: false });
  });
});
