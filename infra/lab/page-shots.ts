// Takes the pictures of the playground that the README and docs show: the local stack in a state folder of its own, a
// real browser, the first sample asked about, drawn scenes searched and reviewed. Run it again when the page looks
// different; the fonts are the machine's.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Page } from "playwright-core";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeExam } from "../../gpu-node/nano/scenes/exam.ts";
import { browserIsMissing, openPage, startBrowser, webpOf } from "../../test/support/browser.ts";
import { startFakeCms, type FakeCms } from "../../test/support/fake-cms-server.ts";
import { fakeDirectus } from "../../test/support/fake-directus.ts";
import { startStack, type Stack } from "../start/stack.ts";
import { hardPicture } from "../../gpu-node/nano/scenes/hard-pictures.ts";

const root = path.resolve(import.meta.dirname, "../..");
const shots = [
  { name: "desktop-light", width: 1280, height: 880, colorScheme: "light" },
  { name: "desktop-dark", width: 1280, height: 880, colorScheme: "dark" },
  { name: "phone-light", width: 390, height: 844, colorScheme: "light" },
  { name: "phone-dark", width: 390, height: 844, colorScheme: "dark" },
] as const;

/** Scenes that the model has not seen, some of them of one kind, and words for one of them. */
const [seed, drawn, ofAKind, others] = [11, 900, 12, 30] as const;
const kind = /\bcakes?\b/;

/** Gives the words. */
async function indexScenes({ client }: Stack): Promise<string> {
  const drawings = await openDrawings();
  const all = writeExam(seed, drawn, drawings.styles);
  const chosen = all.filter(({ caption }) => kind.test(caption)).slice(0, ofAKind);
  const rest = all.filter(({ caption }) => !kind.test(caption)).slice(0, others);
  for (const [index, { scene }] of [...chosen, ...rest].entries()) {
    const image = { bytes: await pictureOf(scene, drawings) };
    await client.imagePut({ namespace: "default", id: `scene-${index + 1}`, image });
  }
  return chosen[1]?.caption ?? "";
}

async function shoot(page: Page, name: string, quality?: number): Promise<void> {
  await page.mouse.move(0, 0);
  await writeFile(path.join(root, `docs/${name}.webp`), await webpOf(page, quality));
}

async function shootFromTop(page: Page, name: string): Promise<void> {
  await page.evaluate("document.activeElement.blur(); scrollTo(0, 0)");
  await shoot(page, `playground-${name}`);
}

const site = { kind: "directus", name: "Front page", secret: "secret-of-the-webhooks" } as const;
/** Two cards. */
const reviewSize = { width: 1280, height: 760 };
const reviewQuality = 60;
/** Files as they come from a desk, the last of them blurred. */
const files = ["summer-fair.png", "header-autumn.png", "IMG_2041.jpg", "scan 12.png"];

/** Pictures of a CMS that wait. */
async function shootReview(stack: Stack, page: Page, cms: FakeCms, name: string): Promise<void> {
  const { client } = stack;
  const { webhook_path: hookPath } = await client.connectionCreate({
    ...{ name: site.name, kind: site.kind, base_url: cms.url, allow_private: true },
    ...{ token: cms.token, webhook_secret: site.secret, min_itm: 0.99, mode: "suggest" },
  });
  const drawings = await openDrawings();
  const scenes = writeExam(seed, files.length + 1, drawings.styles);
  for (const [index, file] of files.entries()) {
    const [one, other] = [scenes[index]?.scene, scenes[index + 1]?.scene];
    if (one === undefined || other === undefined) throw new Error("there are too few scenes");
    const bytes =
      index === files.length - 1
        ? (await hardPicture("blurred", [one, other], drawings, seed)).bytes
        : await pictureOf(one, drawings, 320);
    const asset = cms.add({ bytes, name: file });
    const hook = cms.vendor.hook("created", asset, site.secret);
    await fetch(stack.url + hookPath, { method: "POST", ...hook });
    const open = async () => (await client.suggestionList({ state: "open" })).suggestions.length;
    while ((await open()) <= index) await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const size = page.viewportSize();
  await page.setViewportSize(reviewSize);
  await page.getByRole("link", { name: "Review" }).click();
  await page.locator(".card img").first().waitFor();
  await page.keyboard.press("j");
  await page.getByText("In the CMS now:").waitFor();
  await page.waitForLoadState("networkidle");
  await page.evaluate("scrollTo(0, 0)");
  await shoot(page, `review-${name}`, reviewQuality);
  if (size !== null) await page.setViewportSize(size);
}

if (browserIsMissing !== undefined) throw new Error(browserIsMissing);
const browser = await startBrowser();
try {
  for (const { name, width, height, colorScheme } of shots) {
    // Each its own state, so that each shows a first answer.
    const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-shots-"));
    const cms = await startFakeCms(fakeDirectus);
    const stack = await startStack({
      ...{ stateDir, port: 0, modelsDir: path.join(root, ".blip2/models") },
      allowFetch: [cms.origin],
      ...{ say: () => {}, log: () => {} },
    });
    try {
      const { page } = await openPage(browser, `${stack.url}/#key=${stack.apiKey}`, {
        ...{ viewport: { width, height }, colorScheme, deviceScaleFactor: 2 },
      });
      // What a first request costs that no later one does is not what is to be seen.
      await page.getByRole("button", { name: "palm tree" }).click();
      await page.locator("#caption-facts .facts").waitFor();
      await page.getByRole("link", { name: "blip2-edge" }).click();
      await page.goto(`${stack.url}/?#key=${stack.apiKey}`);
      await page.getByRole("button", { name: "owls and a lion" }).click();
      await page.locator("#caption-facts .facts").waitFor();
      for (const question of ["is there a cat?", "how many owls are there?"]) {
        await page.getByRole("button", { name: question }).click();
        await page.getByText(question, { exact: true }).last().waitFor();
        await page.locator("#answers > li:first-child .facts").waitFor();
      }
      await shootFromTop(page, name);
      if (!name.startsWith("desktop")) continue;
      await shootReview(stack, page, cms, name);
      const words = await indexScenes(stack);
      await page.getByRole("link", { name: "Search" }).click();
      await page.getByLabel("Near misses too").check();
      await page.getByLabel("Words").fill(words);
      await page.getByLabel("Words").press("Enter");
      await page.locator(".hit").first().waitFor();
      await page.waitForLoadState("networkidle");
      await shootFromTop(page, `search-${colorScheme}`);
    } finally {
      await stack.stop();
      await cms.stop();
      await rm(stateDir, { recursive: true, force: true });
    }
  }
} finally {
  await browser.close();
}
