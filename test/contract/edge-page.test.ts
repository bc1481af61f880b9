// The playground in a real browser, before a scripted node: by mouse, by keyboard, by drop and paste, on a narrow
// screen, by day and by night, with axe's rules for WCAG 2.2 AA. It loads nothing from elsewhere and nothing of it
// is refused by its own policy.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { scopes } from "@blip2-edge/shared/contracts/keys";
import type { SearchResponse } from "@blip2-edge/shared/contracts/search";
import { browserIsMissing, openPage, startBrowser, type WatchedPage } from "../support/browser.ts";
import { startEdge, type Edge } from "../support/edge.ts";
import { startFakeCms, type FakeCms } from "../support/fake-cms-server.ts";
import { fakeStrapi } from "../support/fake-strapi.ts";
import { jpeg } from "../support/pictures.ts";
import { reviewPageSuite, reviewable } from "../support/review-page-suite.ts";

let edge: Edge;
let cms: FakeCms;
beforeAll(async () => {
  const picture = await jpeg(70);
  cms = await startFakeCms(fakeStrapi);
  edge = await startEdge({
    vars: { CATALOG_TTL_MS: "600000", CMS_PRIVATE_ORIGINS: cms.origin },
    internet: () => new Response(new Uint8Array(picture)),
  });
  await edge.worker.putKey({ key: edge.ada, tenant: "ada", name: "test", scopes });
});
afterAll(async () => {
  await edge?.stop();
  await cms?.stop();
});

describe("GET /", () => {
  test("is one page whose policy names its script and its style, and nothing else that may run", async () => {
    const response = await edge.call("/", { key: null });
    const html = await response.text();
    const policy = response.headers.get("content-security-policy") ?? "";
    const digest = (tag: string): string => {
      const [, inside = ""] = new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`).exec(html) ?? [];
      return `'sha256-${createHash("sha256").update(inside).digest("base64")}'`;
    };
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain(`script-src ${digest("script")};`);
    expect(policy).toContain(`style-src ${digest("style")};`);
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(html).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(html).not.toContain(edge.ada);
  });

  test("and the same at /review", async () => {
    const [page, review] = await Promise.all(
      ["/", "/review"].map((path) => edge.call(path, { key: null })),
    );
    expect(await review?.text()).toBe(await page?.text());
    expect(
      [...(review?.headers ?? [])].filter(([name]) => name === "content-security-policy"),
    ).toEqual([...(page?.headers ?? [])].filter(([name]) => name === "content-security-policy"));
  });

  test("304 to who has it", async () => {
    const etag = (await edge.call("/", { key: null })).headers.get("etag") ?? "";
    const again = await edge.call("/", { key: null, headers: { "if-none-match": etag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  });
});

if (browserIsMissing !== undefined) {
  console.log(`The playground is not tested in a browser: ${browserIsMissing}.`);
}

describe.skipIf(browserIsMissing !== undefined)("in a browser", () => {
  let browser: Browser;
  const opened: WatchedPage[] = [];
  const open = async (options = {}, key: string | null = edge.ada): Promise<Page> => {
    return openAt(key === null ? "" : `/#key=${key}`, options);
  };
  const openAt = async (path: string, options = {}): Promise<Page> => {
    const watched = await openPage(browser, `${edge.url}${path}`, options);
    opened.push(watched);
    return watched.page;
  };
  const rung = (page: Page, below: string) => page.locator(`${below} .rung`).first();

  beforeAll(async () => {
    browser = await startBrowser();
    const { add } = await reviewable(edge, cms, "ada");
    for (const [index, name] of ["one.png", "two.png"].entries()) await add(950 + index, name);
  });
  afterAll(async () => {
    await browser?.close();
  });

  test("a sample: caption, questions, texts and labels, with where each came from and how long it took", async () => {
    const page = await open();
    expect(page.url()).toBe(`${edge.url}/`);
    await page.getByRole("button", { name: "owls and a lion" }).click();
    const caption = page.locator("#caption .voice");
    await page.locator("#caption-facts .facts").waitFor();
    expect(await caption.textContent()).toMatch(/\S/);
    expect(await rung(page, "#caption-facts").textContent()).toBe("from a node");
    await page.getByRole("button", { name: "Ask again" }).click();
    await page.getByText(/^before: /).waitFor();
    expect(await rung(page, "#caption-facts").textContent()).toBe("from the cache");
    const hops = await page.locator("#caption-facts dt").allTextContents();
    expect(hops).toEqual(expect.arrayContaining(["Worker", "key", "look in cache"]));

    await page.getByLabel("Your question").fill("how many owls are there?");
    await page.getByLabel("Your question").press("Enter");
    await page.locator("#answers .facts").waitFor();
    const asked = edge.node.asked.at(-1)?.request.texts;
    expect(asked).toEqual(["Question: how many owls are there? Answer:"]);
    expect(await page.locator("#answers .voice").textContent()).toMatch(/\S/);

    await page.getByRole("button", { name: "Compare" }).click();
    await page.locator("#match-facts .facts").waitFor();
    const texts = await page.locator("#matches .text").allTextContents();
    expect(texts.toSorted()).toEqual(
      ["two owls and a lion", "two owls and a tiger", "a cake on a red background"].toSorted(),
    );
    const values = (await page.locator("#matches .value").allTextContents()).map(parseFloat);
    expect(values).toEqual(values.toSorted((a, b) => b - a));
    await page.getByRole("button", { name: "Sort" }).click();
    await page.locator("#label-facts .facts").waitFor();
    expect(await page.locator("#ranked li").count()).toBe(4);
  });

  test("a caption is shown as it is written", async () => {
    const page = await open();
    const pause = Promise.withResolvers<void>();
    edge.node.failNext({ kind: "after_first_text", wait: pause.promise });
    await page.getByRole("button", { name: "palm tree" }).click();
    // The node says no more until this is seen.
    await page.locator("#caption[aria-busy=true] .writing", { hasText: /^picture $/ }).waitFor();
    pause.resolve();
    await page.locator("#caption-facts .facts").waitFor();
    expect(await page.locator("#caption .voice").textContent()).toMatch(/^picture \S+/);
    expect(await page.locator("#caption .writing, #caption[aria-busy]").count()).toBe(0);
    const parts = await page.locator("#caption-facts .part dt").allTextContents();
    expect(parts).toEqual(["network", "Worker", "node"]);
  });

  test("by keyboard alone", async () => {
    const page = await open();
    const focused = () => page.locator(":focus").getAttribute("id");
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").textContent()).toBe("Skip to the picture");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("choose");
    for (let stops = 0; stops < 3; stops++) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.locator("#caption-facts .facts").waitFor();
    // What was pressed is gone; the way goes on where the picture is.
    expect(await focused()).toBe("another");
    for (let stops = 0; (await focused()) !== "question"; stops++) {
      expect(stops).toBeLessThan(8);
      await page.keyboard.press("Tab");
    }
    await page.keyboard.type("is there a cat?");
    await page.keyboard.press("Enter");
    await page.locator("#answers .facts").waitFor();
    expect(await focused()).toBe("question");
  });

  test("pictures that are dropped, pasted, or behind an address, which the Worker fetches and the page does not", async () => {
    const page = await open();
    const bytes = [...(await jpeg(71))];
    const isSentAs = async (source: string) => {
      await page.locator("#caption-facts .facts").waitFor();
      await expect.poll(() => edge.lastEvent()).toMatchObject({ image_source: source });
    };
    await give(page, "DragEvent", { bytes });
    await isSentAs("upload");
    await page.getByRole("link", { name: "blip2-edge" }).click();
    await page.getByText("Drop a picture here").waitFor();
    await setKey(page, edge.ada);
    await give(page, "ClipboardEvent", { text: "https://pictures.example.com/a.jpg" });
    await isSentAs("url");
    await page.getByText("pictures.example.com").waitFor();
    await page.getByText("Fetched by the Worker, not by this page").waitFor();
    await page.getByLabel("Your question").fill("what is it?");
    await page.getByRole("button", { name: "Ask", exact: true }).click();
    await page.locator("#answers .facts").waitFor();
    // From the second question on the picture has a name.
    await expect.poll(() => edge.lastEvent()).toMatchObject({ image_source: "image_id" });
    expect(opened.at(-1)?.hosts).toEqual(new Set([new URL(edge.url).host]));
  });

  test("the key is asked for, told when it is wrong, and kept for the tab only when that is wished", async () => {
    const page = await open({}, null);
    const stored = () => page.evaluate<number>("sessionStorage.length + localStorage.length");
    await page.getByRole("button", { name: "balloons" }).click();
    await page.getByText("An API key is needed to ask.").waitFor();
    await setKey(page, "b2e_wrong");
    await page.getByText("This key was not accepted.").waitFor();
    await setKey(page, edge.ada);
    await page.locator("#caption-facts .facts").waitFor();
    expect(await stored()).toBe(0);
    await page.reload();
    await page.getByLabel("Keep it until this tab is closed").check();
    await setKey(page, edge.ada);
    expect(await stored()).toBe(1);
    await page.reload();
    await page.getByRole("button", { name: /^Key b2e_/ }).waitFor();
    expect(await page.content()).not.toContain(edge.ada.slice(17));
    expect(await page.context().cookies()).toEqual([]);
  });

  test("what fails says so in the API's words, where the answer would be", async () => {
    const page = await open();
    await page.getByLabel("or give its address").fill("ftp://example.com/a.jpg");
    await page.getByRole("button", { name: "Look" }).click();
    await page.getByText("An address begins with http").waitFor();
    await page.getByLabel("or give its address").fill("http://127.0.0.1/a.jpg");
    await page.getByRole("button", { name: "Look" }).click();
    await page.locator("#caption [role=alert]").getByText("may not be fetched").waitFor();
  });

  describe("search", () => {
    const many = 14;
    beforeAll(async () => {
      const images = await Promise.all(
        Array.from({ length: many }, async (_, n) => ({
          ...{ id: `p${n}`, title: `picture number ${n}`, image: { bytes: await jpeg(700 + n) } },
        })),
      );
      const client = createClient({ url: edge.url, key: edge.ada });
      const { failed } = await client.imageBatch({ namespace: "many", images });
      expect(failed).toBe(0);
    });
    const scores = async (page: Page) =>
      (await page.locator(".hit .verdict b").allTextContents()).map(parseFloat);

    test("an empty namespace is filled with the samples, which are found by words and by each other", async () => {
      const page = await open();
      await page.getByRole("link", { name: "Search" }).click();
      await page.getByLabel("Words").waitFor();
      expect(page.url()).toBe(`${edge.url}/#search`);
      expect(await page.title()).toMatch(/^Find a picture/);
      await page.getByLabel("Words").fill("two owls");
      await page.getByLabel("Words").press("Enter");
      await page.getByText("No match.").waitFor();
      await page.getByText("Nothing is indexed in “default” yet.").waitFor();
      await page.getByRole("button", { name: "Index the three sample pictures" }).click();
      await page.locator(".hit").nth(2).waitFor();
      const titles = await page.locator(".hit .title").allTextContents();
      expect(titles.toSorted()).toEqual([
        "Drawing of a palm tree and a lion on green",
        "Drawing of three blue balloons and a cake on red",
        "Drawing of two owls and a lion on pink",
      ]);
      expect(await page.locator(".hit .said").first().textContent()).toMatch(/^picture \S/);
      expect(await page.getByText("Nothing there to find yet?").isVisible()).toBe(false);
      const given = await scores(page);
      expect(given).toEqual(given.toSorted((a, b) => b - a));

      const { imageRead } = createClient({ url: edge.url, key: edge.ada });
      expect(await imageRead({ namespace: "default", id: "sample-owls" })).toMatchObject({
        title: "Drawing of two owls and a lion on pink",
      });
      await page.getByRole("button", { name: /More like it: .*balloons/ }).click();
      await page.locator(".hit").nth(2).waitFor();
      expect(await page.locator(".hit .title").first().textContent()).toContain("balloons");
      expect((await scores(page))[0]).toBeGreaterThan(0.97);
      // What was pressed is gone; the way goes on where the picture is.
      await page.locator(":focus", { hasText: "Search without it" }).waitFor();
      await page.goBack();
      await page.getByText("Drop a picture here").waitFor();
      expect(await page.title()).toMatch(/^What is in this picture/);
    });

    test("a dropped picture is searched with, indexed under a free id, and told of as a twin", async () => {
      const page = await open();
      await page.getByRole("link", { name: "Search" }).press("Enter");
      // The head of the view is where reading goes on.
      await page.locator("h1:focus", { hasText: "Find a picture" }).waitFor();
      await page.getByLabel("In", { exact: true }).fill("many");
      await give(page, "DragEvent", { bytes: [...(await jpeg(703))] });
      await page.locator(".hit").first().waitFor();
      expect(await page.locator(".hit .title").first().textContent()).toBe("picture number 3");
      await page.getByLabel("Index it as").fill("p3");
      await page.getByRole("button", { name: "Index", exact: true }).click();
      await page.getByText("“p3” is there already.").waitFor();
      await page.getByLabel("Index it as").fill("dropped");
      await page.getByLabel("Title", { exact: true }).fill("From the desk");
      await page.getByRole("button", { name: "Index", exact: true }).click();
      await page.getByText("Indexed as “dropped” in “many”.").waitFor();
      await page.getByText("It is the same picture as “p3”.").waitFor();
      await page.getByLabel("Words").fill("a desk");
      await page.getByRole("button", { name: "Search", exact: true }).click();
      await page.getByText("the same picture as p3").waitFor();
      // What is shown of the hits is asked for after it.
      const search = () => edge.events.findLast(({ route }) => route === "search");
      await expect.poll(search).toMatchObject({ image_source: "image_id" });
    });

    test("page by page, by keyboard; and “no match” when nothing is near enough", async () => {
      const page = await open();
      await page.goto(`${edge.url}/#search`);
      await page.getByLabel("In", { exact: true }).fill("many");
      await page.getByLabel("Words").fill("anything");
      await page.getByLabel("Titles and captions too").check();
      await page.getByLabel("Words").press("Enter");
      await page.locator(".hit").nth(11).waitFor();
      expect(await page.locator(".hit").count()).toBe(12);
      await page.getByRole("button", { name: "More", exact: true }).press("Enter");
      await page
        .locator(".hit")
        .nth(many - 1)
        .waitFor();
      const names = await page.locator(".hit .title").allTextContents();
      expect(new Set(names).size).toBeGreaterThanOrEqual(many);
      expect(await page.getByRole("button", { name: "More", exact: true }).isVisible()).toBe(false);
      await page.locator(".hit").nth(12).locator("button:focus").waitFor();

      const none: SearchResponse = {
        ...{ hits: [], no_match: true, namespace: "many", model: "m", model_revision: "r" },
        ...{ min_score: 0.53, calibrated: true, vision_passes: 0 },
      };
      await page.route("**/v1/search", (route) => route.fulfill({ json: none }));
      await page.getByLabel("Words").fill("zorblick");
      await page.getByLabel("Words").press("Enter");
      await page.getByText("Nothing in “many” reaches 53 % for “zorblick”.").waitFor();
      expect(await page.locator(".hit").count()).toBe(0);
      await page.unroute("**/v1/search");
      const [asked] = await Promise.all([
        page.waitForRequest("**/v1/search"),
        page.getByRole("button", { name: "Show near misses" }).press("Enter"),
      ]);
      expect(asked.postDataJSON()).toMatchObject({ text: "zorblick", min_score: 0 });
      await page.locator(".hit").first().waitFor();
      expect(await page.getByLabel("Near misses too").isChecked()).toBe(true);
    });
  });

  describe("review", () => {
    reviewPageSuite({
      ...{ edge: () => edge, cms: () => cms },
      open: (key, path) => openAt(`${path}${path.includes("#") ? "&" : "#"}key=${key}`),
    });
  });

  test.each([
    ["light", 1280],
    ["dark", 1280],
    ["light", 320],
    ["dark", 320],
  ] as const)("by axe's rules, %s, %i pixels wide", async (colorScheme, width) => {
    const axe = await readFile(
      createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
      "utf8",
    );
    const page = await open(
      { colorScheme, viewport: { width, height: 800 }, reducedMotion: "reduce" },
      null,
    );
    const faults = async () => {
      await page.evaluate(axe);
      return page.evaluate(async () => {
        const run = (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run();
        const { violations } = await run;
        return violations.map(
          ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`,
        );
      });
    };
    const overflow = () =>
      page.evaluate<number>(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
      );
    expect([await faults(), await overflow()]).toEqual([[], 0]);
    await setKey(page, edge.ada);
    await page.getByRole("button", { name: "owls and a lion" }).click();
    await page.locator("#caption-facts .facts").waitFor();
    await page.locator("#questions button").first().click();
    await page.locator("#answers .facts").waitFor();
    await page.getByRole("button", { name: "Compare" }).click();
    await page.locator("#match-facts .facts").waitFor();
    await page.evaluate(
      "document.querySelectorAll('details').forEach((each) => (each.open = true))",
    );
    expect([await faults(), await overflow()]).toEqual([[], 0]);
    await page.getByRole("link", { name: "Search" }).click();
    await page.getByText("drop one anywhere").waitFor();
    expect([await faults(), await overflow()]).toEqual([[], 0]);
    await page.getByLabel("In", { exact: true }).fill("many");
    await page.getByLabel("Words").fill("a lion");
    await give(page, "DragEvent", { bytes: [...(await jpeg(703))] });
    await page.locator("#search-facts .facts").waitFor();
    expect([await faults(), await overflow()]).toEqual([[], 0]);
    await page.getByRole("link", { name: "Review" }).click();
    const [waiting, other] = [page.locator(".card").nth(0), page.locator(".card").nth(1)];
    await waiting.getByRole("button", { name: "Edit" }).click();
    await waiting.getByText("In the CMS now:").waitFor();
    await other.getByRole("checkbox").check();
    await page.getByText("1 selected").waitFor();
    expect([await faults(), await overflow()]).toEqual([[], 0]);
    const moving = await page.evaluate<number>("document.getAnimations().length");
    expect(moving).toBe(0);
  });

  test("in all of that no page complained, and none asked another host", () => {
    expect(opened.length).toBeGreaterThanOrEqual(12);
    // A refusal of the API is an answer; the browser writes its status down.
    const complaints = opened.flatMap((watched) => watched.complaints);
    expect(
      complaints.filter((text) => !/the server responded with a status of 4\d\d/.test(text)),
    ).toEqual([]);
    const hosts = new Set(opened.flatMap((watched) => [...watched.hosts]));
    expect(hosts).toEqual(new Set([new URL(edge.url).host]));
  });
});

/** Drops or pastes, in the page's own words, which this side's compiler does not know. */
async function give(
  page: Page,
  event: "DragEvent" | "ClipboardEvent",
  what: { readonly bytes?: readonly number[]; readonly text?: string },
): Promise<void> {
  await page.evaluate(`
    const { bytes, text } = ${JSON.stringify(what)};
    const dataTransfer = new DataTransfer();
    if (bytes) dataTransfer.items.add(new File([new Uint8Array(bytes)], "a.jpg", { type: "image/jpeg" }));
    if (text) dataTransfer.setData("text/plain", text);
    const options = { bubbles: true, cancelable: true, dataTransfer, clipboardData: dataTransfer };
    document.body.dispatchEvent(new ${event}(${JSON.stringify(event === "DragEvent" ? "drop" : "paste")}, options));
  `);
}

async function setKey(page: Page, key: string): Promise<void> {
  await page.getByLabel("API key", { exact: true }).fill(key);
  await page.getByRole("button", { name: "Use" }).click();
}
