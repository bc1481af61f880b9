import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { refusedUrls } from "../../../test/support/ssrf-corpus.ts";
import { checkUrl, type UrlPolicy } from "./url-guard.ts";

const policy: UrlPolicy = { ports: [80, 443, 8080, 8443], allowPrivate: [] };

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
