// The corpus of URLs that lead where a picture fetcher must not go, each through the whole Worker: the
// reason in the log, the same words outside, and nothing fetched. Then a key's own allow-list, and names
// whose answers change between the check and the fetch.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AppError } from "@blip2-edge/shared/problem";
import { pictureFetcher, type Fetch } from "../../edge/src/images/fetch.ts";
import { pictureMemory } from "../../edge/src/images/picture-memory.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { png } from "../support/pictures.ts";
import { refusedUrls } from "../support/ssrf-corpus.ts";

let edge: Edge;
let fetched: string[] = [];
beforeAll(async () => {
  const picture = new Uint8Array(await png(3));
  edge = await startEdge({
    internet: (request) => {
      fetched.push(request.url);
      const to = new URL(request.url).searchParams.get("to");
      return to === null
        ? new Response(picture)
        : new Response(null, { status: 302, headers: { location: to } });
    },
  });
});
afterAll(() => edge?.stop());

const vectors = refusedUrls.filter(([url]) => url.trim() !== "");
const reasonOf = (source: RegExp): RegExp => new RegExp(source.source.replace("^", "^hop \\d: "));
const refusal = async (url: string): Promise<{ detail: string; internal: string }> => {
  const response = await edge.json("/v1/caption", { image: { url } });
  const problem = await expectProblem(response, "url_refused", "caption");
  return { detail: problem.detail ?? "", internal: String(edge.lastEvent()["internal"]) };
};

test("every vector is refused, for a reason of its own that only the log knows", async () => {
  const [details, internals] = [new Set<string>(), new Set<string>()];
  fetched = [];
  for (const [url, reason] of vectors) {
    const { detail, internal } = await refusal(url);
    details.add(detail);
    internals.add(internal);
    expect(internal, url).toMatch(reasonOf(reason));
  }
  expect(vectors.length).toBeGreaterThanOrEqual(60);
  expect(new Set(vectors.map(([url]) => url)).size).toBe(vectors.length);
  // Credentials and queries are cut out of the log, which makes a few of them alike.
  expect(internals.size).toBeGreaterThanOrEqual(vectors.length - 5);
  expect(details.size).toBe(1);
  expect(fetched).toEqual([]);
});

test("and so it is at the end of a chain of redirects", async () => {
  const details = new Set<string>();
  const absolute = vectors.filter(([url]) => /^[a-z-]+:(?!\d|\/\/\/)[\x21-\x7e]+$/.test(url));
  expect(absolute.length).toBeGreaterThanOrEqual(60);
  const to = (url: string) => `https://pictures.example.com/?to=${encodeURIComponent(url)}`;
  for (const [url, reason] of absolute.filter(([each]) => each.length < 1000)) {
    fetched = [];
    const { detail, internal } = await refusal(to(to(url)));
    details.add(detail);
    expect(internal, url).toMatch(reasonOf(reason));
    expect(internal).toMatch(/^hop 2: /);
    expect(fetched.length, url).toBe(2);
  }
  expect(details.size).toBe(1);
});

describe("what the platform resolves when it connects", () => {
  const never = new AbortController().signal;
  const memory = pictureMemory({ maxBytes: 1e9, waitMs: 0 });
  const problemOf = async (internet: Fetch, allow: readonly string[] = []) => {
    const fetchPicture = pictureFetcher({
      policy: { ports: [80, 443], allowPrivate: [] },
      internet,
      privateNet: undefined,
      maxBytes: 1000,
      timeoutMs: 1000,
      maxRedirects: 3,
    });
    const share = memory.share();
    try {
      await fetchPicture("http://rebinding.example.com/", { allow, memory: share, signal: never });
    } catch (error) {
      if (error instanceof AppError) return { code: error.code, detail: error.detail };
    } finally {
      share.keep(0);
    }
    return undefined;
  };
  /** A network as the local stack's: it resolves when it connects, and connects to public addresses only. */
  const network =
    (answers: string[]): Fetch =>
    () => {
      const address = answers.shift();
      return address === "93.184.216.34"
        ? Promise.resolve(new Response(null, { status: 302, headers: { location: "/again" } }))
        : Promise.reject(new Error(`connecting to ${address ?? "nobody"} is not allowed`));
    };

  test("an answer that turns private after the first hop is as one that leads nowhere", async () => {
    const rebound = await problemOf(network(["93.184.216.34", "127.0.0.1"]));
    expect(rebound).toMatchObject({ code: "fetch_failed" });
    expect(await problemOf(network(["169.254.169.254"]))).toEqual(rebound);
    expect(await problemOf(network([]))).toEqual(rebound);
  });

  test("a key's allow-list holds on every hop, in the same words as every refusal", async () => {
    const allow = ["*.example.com:80"];
    const hopOut: Fetch = (url) =>
      Promise.resolve(
        url.includes("rebinding")
          ? new Response(null, { status: 302, headers: { location: "http://example.org/a" } })
          : new Response("picture"),
      );
    expect(await problemOf(hopOut)).toBeUndefined();
    const { detail } = await refusal("http://127.0.0.1/");
    const refused = { code: "url_refused", detail };
    expect(await problemOf(hopOut, allow)).toEqual(refused);
    expect(await problemOf(hopOut, ["example.org"])).toEqual(refused);
    expect(await problemOf(hopOut, [...allow, "example.org"])).toBeUndefined();
  });
});
