// A real browser for tests, if this machine has one: Debian's chromium, or what BLIP2_CHROMIUM names (empty: none).
// Those that need it are skipped without it, and say so.
import { existsSync } from "node:fs";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import sharp from "sharp";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const chromiumPath = process.env["BLIP2_CHROMIUM"] ?? places.find((place) => existsSync(place));

export const browserIsMissing: string | undefined =
  chromiumPath === undefined || chromiumPath === ""
    ? "there is no chromium (Debian: apt-get install chromium; or BLIP2_CHROMIUM=PATH)"
    : undefined;

/** Sandboxed where that can be: a container's root cannot. */
export const startBrowser = (): Promise<Browser> =>
  chromium.launch({
    ...(chromiumPath === undefined ? {} : { executablePath: chromiumPath }),
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
  });

/** What of the page is in sight, as a picture of few bytes. */
export const webpOf = async (page: Page, quality = 82): Promise<Uint8Array> =>
  sharp(await page.screenshot())
    .webp({ quality, effort: 6 })
    .toBuffer();

export interface WatchedPage {
  readonly page: Page;
  /** What the page said on its console and threw, violations of its policy among it. */
  readonly complaints: string[];
  /** Hosts that it asked for anything. */
  readonly hosts: Set<string>;
}

export async function openPage(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  const hosts = new Set<string>();
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const { host, protocol } = new URL(request.url());
    if (/^https?:$/.test(protocol)) hosts.add(host);
  });
  await page.goto(url);
  return { page, complaints, hosts };
}
