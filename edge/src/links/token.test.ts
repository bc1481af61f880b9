import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pictureLinks, type LinkTarget } from "./picture-link.ts";
import { linkUntil, recordLinks } from "./record-links.ts";
import { tokenSealer } from "./token.ts";

fc.configureGlobal({ seed: 1410 });
const [secret, other] = ["a".repeat(40), "b".repeat(40)] as const;
const text = (content: Uint8Array | undefined) =>
  content === undefined ? undefined : new TextDecoder().decode(content);
const bytes = (content: string) => new TextEncoder().encode(content);

describe("tokens", () => {
  const tokens = tokenSealer([secret]);

  test("give back what was sealed, are equal for what is equal, and tell nothing of it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (content) => {
        const sealed = await tokens.seal("p", new Uint8Array(content));
        expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(await tokens.seal("p", new Uint8Array(content))).toBe(sealed);
        expect(await tokens.open("p", sealed)).toEqual(new Uint8Array(content));
      }),
      { numRuns: 60 },
    );
    const two = [
      await tokens.seal("p", bytes("tenant-a")),
      await tokens.seal("p", bytes("tenant-b")),
    ];
    const raw = two.map((token) => Buffer.from(token, "base64url").toString("latin1"));
    expect(raw.join(" ")).not.toContain("tenant");
    // Of two that are nearly equal no part is.
    expect(raw[0]?.slice(-8)).not.toBe(raw[1]?.slice(-8));
  });

  test("changed in any place, cut, longer or otherwise written they are none", async () => {
    const sealed = await tokens.seal("p", bytes("a content of 24 letters."));
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (let at = 0; at < sealed.length; at++) {
      for (const step of [1, 2, 4, 8, 16, 32]) {
        const was = alphabet.indexOf(sealed.charAt(at));
        const changed = sealed.slice(0, at) + alphabet.charAt(was ^ step) + sealed.slice(at + 1);
        expect(await tokens.open("p", changed), `${at} ${step}`).toBeUndefined();
      }
    }
    const wrong = [
      "",
      "A",
      "AAAA",
      sealed.slice(0, -1),
      sealed.slice(1),
      `${sealed}A`,
      `${sealed}=`,
    ];
    for (const token of [
      ...wrong,
      `${sealed}AAAA`,
      ` ${sealed}`,
      "A".repeat(5000),
      "é".repeat(40),
    ]) {
      expect(await tokens.open("p", token), token.slice(0, 60)).toBeUndefined();
    }
  });

  test("of another purpose or another secret they are none; an older secret still opens", async () => {
    const sealed = await tokens.seal("p", bytes("x"));
    expect(await tokens.open("q", sealed)).toBeUndefined();
    expect(await tokenSealer([other]).open("p", sealed)).toBeUndefined();
    const rotated = tokenSealer([other, secret]);
    expect(text(await rotated.open("p", sealed))).toBe("x");
    const fresh = await rotated.seal("p", bytes("x"));
    expect(fresh).not.toBe(sealed);
    expect(await tokens.open("p", fresh)).toBeUndefined();
    expect(text(await tokenSealer([other]).open("p", fresh))).toBe("x");
  });

  test("a known answer, so that links outlive an upgrade", async () => {
    expect(await tokenSealer(["k".repeat(32)]).seal("picture", bytes("known"))).toBe(
      "1dWECjiboAmJ8Bq7ROPqYAhR5qpT",
    );
  });
});

describe("a picture's link", () => {
  const links = pictureLinks(tokenSealer([secret]));
  const imageId = `img_${"0123456789abcdef".repeat(4)}`;
  const about = { tenant: "ada", imageId, until: 4_000_000_000 };

  test.each<LinkTarget>([
    { ...about, variant: "thumbnail" },
    { ...about, variant: "original", namespace: "holiday-2026" },
  ])("holds whose, which and until when: $variant", async (target) => {
    const token = await links.write(target);
    expect(await links.read(token)).toEqual(target);
    expect(token.length).toBeLessThan(110);
  });

  test("a record has one to each file that is kept and was not forgotten since", async () => {
    const linksOf = (forgotten: number, origin: string | undefined = "https://edge.test") =>
      recordLinks({ links, ttlS: 800, origin, purgedAt: async () => forgotten, now: () => 1000 });
    const whose = { tenant: "ada", namespace: "ns" };
    const urls = await linksOf(6)(whose, { imageId, thumbnailAt: 5, originalAt: 7 });
    expect(Object.keys(urls)).toEqual(["original_url"]);
    const token = urls.original_url?.slice("https://edge.test/i/".length) ?? "";
    expect(await links.read(token)).toEqual({
      ...{ tenant: "ada", imageId, until: 900, variant: "original", namespace: "ns" },
    });
    const kept = { imageId, thumbnailAt: 5, originalAt: null };
    expect(Object.keys(await linksOf(-1)(whose, kept))).toEqual(["thumbnail_url"]);
    const nobody = recordLinks({ links, ttlS: 800, origin: undefined, purgedAt: async () => -1 });
    expect(await nobody(whose, kept)).toEqual({});
  });

  test("lives as long as it must, and is the same for an eighth of that", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4e12 }),
        fc.integer({ min: 60, max: 604_800 }),
        (now, ttlS) => {
          const leftS = linkUntil(now, ttlS) - now / 1000;
          expect(leftS).toBeGreaterThanOrEqual(ttlS);
          expect(leftS).toBeLessThanOrEqual(ttlS * 1.125 + 1);
        },
      ),
    );
    const at = (s: number) => linkUntil(s * 1000, 3600);
    expect(new Set([at(451), at(600), at(900)]).size).toBe(1);
    expect(at(901)).toBe(at(900) + 450);
  });
});
