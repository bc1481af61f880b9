import fc from "fast-check";
import { createSignature } from "http-message-sig";
import { describe, expect, test } from "vitest";
import { AppError } from "../problem.ts";
import { contentDigest } from "./digest.ts";
import { createNonceMemory } from "./nonces.ts";
import {
  createSigner,
  createVerifier,
  parseSigningKeys,
  type SigningKey,
  type VerifierOptions,
} from "./signature.ts";

fc.configureGlobal({ seed: 9421 });

const encoder = new TextEncoder();
const key = (id: string, fill = id): SigningKey => ({
  id,
  secret: encoder.encode(fill.padEnd(32, "x")),
});
const startMs = 1_800_000_000_000;
const url = "http://node.internal:8600/v1/infer?trace=1";
const body = encoder.encode('{"hello":"world"}');

async function signed(overrides: { keys?: SigningKey[]; now?: number; lifetimeS?: number } = {}) {
  const signer = createSigner({
    keys: overrides.keys ?? [key("a")],
    now: () => overrides.now ?? startMs,
    ...(overrides.lifetimeS === undefined ? {} : { lifetimeS: overrides.lifetimeS }),
  });
  const headers = await signer.sign({ method: "POST", url, contentType: "application/json", body });
  return { method: "POST", url, headers: new Headers(headers) };
}

const verifier = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({ keys: [key("a")], now: () => startMs, ...options });

/** The mute outside and the reason inside, or "accepted". */
async function outcome(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return "accepted";
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    if (!(error instanceof AppError)) throw error;
    if (error.code === "overloaded") return "overloaded";
    expect(error.code).toBe("signature_invalid");
    expect(error.detail).toBe("");
    return error.internal ?? "";
  }
}

test("RFC 9421's own hmac-sha256 example (appendix B.2.5) gives the RFC's signature", async () => {
  const secret = Uint8Array.from(
    atob(
      "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==",
    ),
    (character) => character.charCodeAt(0),
  );
  const imported = await crypto.subtle.importKey(
    "raw",
    secret,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const fields = await createSignature(
    {
      kind: "request",
      method: "POST",
      targetUri: "https://example.com/foo?param=Value&Pet=dog",
      fields: [
        { name: "date", value: "Tue, 20 Apr 2021 02:07:55 GMT" },
        { name: "content-type", value: "application/json" },
      ],
    },
    {
      label: "sig-b25",
      components: ["date", "@authority", "content-type"],
      parameters: { created: 1618884473, keyid: "test-shared-secret" },
      signer: {
        algorithm: "hmac-sha256",
        sign: async (data) =>
          new Uint8Array(await crypto.subtle.sign("HMAC", imported, Uint8Array.from(data))),
      },
    },
  );
  expect(fields.signature).toBe("sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
});

test("RFC 9530's own example gives the RFC's digest", async () => {
  expect(await contentDigest(encoder.encode('{"hello": "world"}\n'))).toBe(
    "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
  );
});

describe("accepted", () => {
  test("what was signed, and the verifier gives the body back", async () => {
    expect(await verifier().verify(await signed(), () => body)).toBe(body);
  });

  test("a request without a body", async () => {
    const signer = createSigner({ keys: [key("a")], now: () => startMs });
    const headers = new Headers(await signer.sign({ method: "GET", url }));
    const read = await verifier().verify({ method: "GET", url, headers }, () => new Uint8Array());
    expect(read.length).toBe(0);
  });

  test("another authority and scheme: a tunnel changes them", async () => {
    const request = { ...(await signed()), url: "https://gpu-1.example/v1/infer?trace=1" };
    expect(await outcome(verifier().verify(request, () => body))).toBe("accepted");
  });

  test("either of two live keys, while the first signs", async () => {
    const both = [key("new"), key("old")];
    const verify = verifier({ keys: both });
    const fromNew = await signed({ keys: both });
    expect(fromNew.headers.get("signature-input")).toContain('keyid="new"');
    expect(await outcome(verify.verify(fromNew, () => body))).toBe("accepted");
    const fromOld = await signed({ keys: [key("old")] });
    expect(await outcome(verify.verify(fromOld, () => body))).toBe("accepted");
  });

  test("the keys of now, whatever they were; what was heard under the old ones is still no replay's", async () => {
    let keys = [key("old")];
    const verify = verifier({ keys: () => keys });
    const signer = createSigner({ keys: () => keys, now: () => startMs });
    const sign = async () => {
      const headers = new Headers(await signer.sign({ method: "GET", url }));
      return { method: "GET", url, headers };
    };
    const fromOld = await sign();
    const heard = await sign();
    const empty = () => new Uint8Array();
    expect(await outcome(verify.verify(heard, empty))).toBe("accepted");
    keys = [key("new"), key("old")];
    expect((await sign()).headers.get("signature-input")).toContain('keyid="new"');
    expect(await outcome(verify.verify(fromOld, empty))).toBe("accepted");
    expect(await outcome(verify.verify(heard, empty))).toBe("the nonce was used before");
    expect(await outcome(verify.verify(await sign(), empty))).toBe("accepted");
    keys = [key("new")];
    const again = { ...fromOld, headers: (await signed({ keys: [key("old")] })).headers };
    expect(await outcome(verify.verify(again, empty))).toBe("Verifier resolution failed");
  });

  test("a key that is looked for, and none whose name is none", async () => {
    const asked: string[] = [];
    const verify = verifier({
      keys: [],
      find(id) {
        asked.push(id);
        return Promise.resolve(id === "found" ? key("found") : undefined);
      },
    });
    const { body: heard, keyId } = await verify.identify(
      await signed({ keys: [key("found")] }),
      () => body,
    );
    expect([heard, keyId]).toEqual([body, "found"]);
    expect(await outcome(verify.verify(await signed({ keys: [key("lost")] }), () => body))).toBe(
      "Verifier resolution failed",
    );
    const odd = await signed({ keys: [key("found")] });
    const input = odd.headers.get("signature-input") ?? "";
    odd.headers.set("signature-input", input.replace('"found"', '"no name"'));
    expect(await outcome(verify.verify(odd, () => body))).toBe("Verifier resolution failed");
    expect(asked).toEqual(["found", "lost"]);
  });

  test("further headers, even such as cannot be signed", async () => {
    const request = await signed();
    request.headers.set("x-note", "caf\u00e9");
    expect(await outcome(verifier().verify(request, () => body))).toBe("accepted");
  });

  test("clocks a little apart", async () => {
    for (const skew of [-4000, 4000]) {
      const request = await signed({ now: startMs + skew });
      expect(await outcome(verifier().verify(request, () => body))).toBe("accepted");
    }
  });
});

describe("refused, mute outside", () => {
  const changes: Record<string, (request: Awaited<ReturnType<typeof signed>>) => void> = {
    "the header signature is missing": ({ headers }) => headers.delete("signature"),
    "the header signature-input is missing": ({ headers }) => headers.delete("signature-input"),
    "the header content-digest is missing": ({ headers }) => headers.delete("content-digest"),
    "Missing field blip2-protocol": ({ headers }) => headers.delete("blip2-protocol"),
    "Signature verification failed": ({ headers }) => headers.set("blip2-protocol", "2"),
    "the header signature-input is too long": ({ headers }) =>
      headers.append("signature-input", `x=();y="${"a".repeat(2000)}"`),
  };
  for (const [reason, change] of Object.entries(changes)) {
    test(reason, async () => {
      const request = await signed();
      change(request);
      let bodyRead = false;
      const attempt = verifier().verify(request, () => {
        bodyRead = true;
        return body;
      });
      expect(await outcome(attempt)).toBe(reason);
      expect(bodyRead).toBe(false);
    });
  }

  test("another method, path, query or content type", async () => {
    const request = await signed();
    for (const changed of [
      { ...request, method: "PUT" },
      { ...request, url: url.replace("infer", "other") },
      { ...request, url: url.replace("trace=1", "trace=2") },
    ]) {
      expect(await outcome(verifier().verify(changed, () => body))).toBe(
        "Signature verification failed",
      );
    }
    request.headers.set("content-type", "text/plain");
    expect(await outcome(verifier().verify(request, () => body))).toBe(
      "Signature verification failed",
    );
  });

  test("any other body", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (other) => {
        const reason = await outcome(verifier().verify(await signed(), () => other));
        expect(reason).toBe("the content digest is not that of the body");
      }),
      { numRuns: 30 },
    );
  });

  test("an unknown key, and a known id with another secret", async () => {
    const unknown = await signed({ keys: [key("b")] });
    expect(await outcome(verifier().verify(unknown, () => body))).toBe(
      "Verifier resolution failed",
    );
    const forged = await signed({ keys: [key("a", "guess")] });
    expect(await outcome(verifier().verify(forged, () => body))).toBe(
      "Signature verification failed",
    );
  });

  test("too old, from the future, or valid for too long", async () => {
    const at = async (now: number) => outcome(verifier().verify(await signed({ now }), () => body));
    expect(await at(startMs - 66_000)).toBe("Signature has expired");
    expect(await at(startMs + 6_000)).toBe("Signature was created in the future");
    const long = await signed({ lifetimeS: 61 });
    expect(await outcome(verifier().verify(long, () => body))).toBe(
      "the lifetime is longer than the window",
    );
  });

  test("a body whose content type was not signed", async () => {
    const signer = createSigner({ keys: [key("a")], now: () => startMs });
    const headers = new Headers(await signer.sign({ method: "POST", url, body }));
    headers.set("content-type", "application/json");
    expect(await outcome(verifier().verify({ method: "POST", url, headers }, () => body))).toBe(
      "the content type of a body is not signed",
    );
  });

  test("components left out, and other tags, although the signature itself is right", async () => {
    const imported = await crypto.subtle.importKey(
      "raw",
      key("a").secret.slice(),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    const components = ["@method", "@path", "@query", "content-digest", "blip2-protocol"];
    const attempt = async (covered: string[], tag: string) => {
      const values = {
        "content-digest": await contentDigest(new Uint8Array()),
        "blip2-protocol": "1",
      };
      const fields = await createSignature(
        {
          kind: "request",
          method: "GET",
          targetUri: url,
          fields: Object.entries(values).map(([name, value]) => ({ name, value })),
        },
        {
          label: "blip2",
          components: covered,
          parameters: {
            created: startMs / 1000,
            expires: startMs / 1000 + 30,
            nonce: "0123456789abcdef",
            keyid: "a",
            tag,
          },
          signer: {
            algorithm: "hmac-sha256",
            sign: async (data) =>
              new Uint8Array(await crypto.subtle.sign("HMAC", imported, Uint8Array.from(data))),
          },
        },
      );
      const headers = new Headers({
        ...values,
        signature: fields.signature,
        "signature-input": fields.signatureInput,
      });
      return outcome(verifier().verify({ method: "GET", url, headers }, () => new Uint8Array()));
    };
    expect(await attempt(components, "blip2-edge/node")).toBe("accepted");
    expect(await attempt(components, "other")).toBe("the tag is another one");
    for (const missing of components) {
      const covered = components.filter((name) => name !== missing);
      expect(await attempt(covered, "blip2-edge/node")).toBe(
        `Required component "${missing}" is absent`,
      );
    }
  });

  test("the same request twice, also at the same moment", async () => {
    const request = await signed();
    const one = verifier();
    const outcomes = await Promise.all(
      [1, 2, 3].map(() => outcome(one.verify(request, async () => body))),
    );
    expect(outcomes.toSorted()).toEqual([
      "accepted",
      "the nonce was used before",
      "the nonce was used before",
    ]);
  });

  test("a replay is refused for as long as the signature is valid, whatever came between", async () => {
    let now = startMs;
    const one = verifier({ now: () => now, nonceCapacity: 3 });
    const first = await signed();
    expect(await outcome(one.verify(first, () => body))).toBe("accepted");
    for (let count = 0; count < 2; count++) {
      expect(await outcome(one.verify(await signed(), () => body))).toBe("accepted");
    }
    // Full: authentic requests wait, and nothing is forgotten to make room.
    expect(await outcome(one.verify(await signed(), () => body))).toBe("overloaded");
    expect(await outcome(one.verify(first, () => body))).toBe("the nonce was used before");
    now = startMs + 65_000;
    expect(await outcome(one.verify(first, () => body))).toBe("the nonce was used before");
    now = startMs + 72_000;
    expect(await outcome(one.verify(first, () => body))).toBe("Signature has expired");
    expect(await outcome(one.verify(await signed({ now }), () => body))).toBe("accepted");
  });
});

test("whatever the headers hold, nothing but signature_invalid comes out", async () => {
  const ascii = fc.string({ unit: "grapheme-ascii", maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(ascii, ascii, ascii, async (signature, input, digest) => {
      const headers = new Headers();
      for (const [name, value] of Object.entries({
        signature: `blip2=${signature}`,
        "signature-input": `blip2=${input}`,
        "content-digest": digest,
      })) {
        headers.set(name, value);
      }
      const attempt = verifier().verify({ method: "POST", url, headers }, () => body);
      expect(await outcome(attempt)).not.toBe("accepted");
    }),
    { numRuns: 200 },
  );
});

describe("the memory of nonces", () => {
  test("never forgets early and never holds more than its capacity", () => {
    const steps = fc.array(
      fc.record({ nonce: fc.nat(20).map(String), passedMs: fc.integer({ min: -50, max: 60 }) }),
      { maxLength: 100 },
    );
    fc.assert(
      fc.property(steps, (events) => {
        let now = 0;
        const memory = createNonceMemory({ capacity: 5, holdMs: 100, now: () => now });
        const accepted = new Map<string, number>();
        let latest = Number.NEGATIVE_INFINITY;
        for (const { nonce, passedMs } of events) {
          now += passedMs;
          latest = Math.max(latest, now);
          const before = accepted.get(nonce);
          const answer = memory.remember(nonce);
          if (before !== undefined && latest < before + 100) expect(answer).toBe("replayed");
          if (answer === "new") accepted.set(nonce, latest);
          expect(memory.size()).toBeLessThanOrEqual(5);
        }
      }),
    );
  });
});

describe("keys as a setting", () => {
  const secret = "s".repeat(32);

  test("pairs separated by commas or spaces", () => {
    const keys = parseSigningKeys(`2026a:${secret}, 2025b:${secret}:with:colons\n`);
    expect(keys.map(({ id }) => id)).toEqual(["2026a", "2025b"]);
    expect(new TextDecoder().decode(keys[1]?.secret)).toBe(`${secret}:with:colons`);
  });

  test("a fault is named without the secret", () => {
    for (const text of ["", "abc", "a:short", `:${secret}`, `a:${secret},a:${secret}`]) {
      expect(() => parseSigningKeys(text)).toThrow(/id:secret/);
      expect(() => parseSigningKeys(text)).not.toThrow(/short|sss/);
    }
  });
});
