// The review of the Worker's page in a real browser, before a CMS's stand-in: by mouse and by keyboard, one by one and
// several at once, with words and names that would like to be HTML. A part of test/contract/edge-page.test.ts.
import type { Page } from "playwright-core";
import { beforeAll, expect, test, vi } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import type { Edge } from "./edge.ts";
import type { FakeCms } from "./fake-cms-server.ts";
import type { FakeAsset } from "./fake-cms.ts";
import { png } from "./pictures.ts";

export interface ReviewSuite {
  readonly edge: () => Edge;
  readonly cms: () => FakeCms;
  readonly open: (key: string, path: string) => Promise<Page>;
}

const secret = "secret-of-the-webhooks";
const hostile = { name: "<img src=x onerror=alert(1)>.png", words: "<b>a cat</b>" };
const many = 30;

/** Makes a connection that suggests and pictures that wait; gives the key of an editor. */
export async function reviewable(edge: Edge, cms: FakeCms, tenant: string) {
  const keys: string[] = [];
  for (const scope of ["connections", "review"] as const) {
    const { key } = await createApiKey();
    await edge.worker.putKey({ key, tenant, name: scope, scopes: [scope] });
    keys.push(key);
  }
  const [owner = "", editor = ""] = keys;
  const client = createClient({ url: edge.url, key: owner });
  const connection = await client.connectionCreate({
    ...{ name: "<i>Front page</i>", kind: cms.vendor.kind, base_url: cms.url, token: cms.token },
    ...{ allow_private: true, webhook_secret: secret, prompt: hostile.words },
    ...{ min_itm: null, sweep_every_s: null },
  });
  const add = async (seed: number, name: string): Promise<FakeAsset> => {
    const asset = cms.add({ bytes: await png(seed), name });
    const hook = cms.vendor.hook("created", asset, secret);
    await edge.call(connection.webhook_path, { method: "POST", key: null, ...hook });
    const waits = async () =>
      (await client.suggestionList({ connection: connection.id })).suggestions.some(
        ({ asset_id: id }) => id === asset.id,
      );
    await vi.waitFor(async () => expect(await waits()).toBe(true), { timeout: 15_000 });
    return asset;
  };
  return { client, connection, editor, add };
}

export function reviewPageSuite({ edge, cms, open }: ReviewSuite): void {
  let made: Awaited<ReturnType<typeof reviewable>>;
  const assets: FakeAsset[] = [];
  beforeAll(async () => {
    made = await reviewable(edge(), cms(), "press");
    for (const [index, name] of ["a.png", "b.png", "c.png", hostile.name].entries()) {
      assets.push(await made.add(900 + index, name));
    }
  });
  const cards = (page: Page) => page.locator(".card:not(.ghost)");
  const card = (page: Page, name: string) => cards(page).filter({ hasText: name });
  const focused = (page: Page) => page.locator(".card:focus .about b").textContent();
  const of = (name: string): FakeAsset => {
    const found = assets.find((asset) => asset.name === name);
    if (found === undefined) throw new Error(name);
    return found;
  };

  test("what waits is shown with its picture; accepted it is written, undone it is gone again", async () => {
    const page = await open(made.editor, "/review");
    await page.getByText("4 wait", { exact: true }).waitFor();
    expect(await page.title()).toBe("Review the words · blip2-edge");
    expect(await cards(page).count()).toBe(4);
    const first = card(page, hostile.name);
    await first.getByText(hostile.words).waitFor();
    await first.getByText("<i>Front page</i>").waitFor();
    const width = "document.querySelector('.card img')?.naturalWidth";
    await expect.poll(() => page.evaluate<number>(width)).toBeGreaterThan(0);
    expect(await page.locator("main b:has-text('a cat'), main i, img[src=x]").count()).toBe(0);
    await first.getByText("In the CMS, when it was looked at:").waitFor();
    await first.getByRole("button", { name: "Accept" }).click();
    await first.getByText("Written into the CMS").waitFor();
    const { name } = hostile;
    expect(of(name).alt).toMatch(/^<b>a cat<\/b> [0-9a-f]{8}$/);
    await page.getByText("3 wait", { exact: true }).waitFor();
    // The next one that waits is where work goes on, and the CMS is asked what it holds.
    expect(await focused(page)).toBe("c.png");
    await card(page, "c.png").getByText("In the CMS now:").waitFor();
    await first.getByRole("button", { name: "Undo" }).click();
    await first.getByText("Undone:").waitFor();
    expect(of(name).alt).toBeNull();
  });

  test("by keyboard alone: on, back, edited and accepted, rejected; letters can be switched off", async () => {
    const page = await open(made.editor, "/#review");
    await card(page, "a.png").waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("k");
    expect(await focused(page)).toBe("c.png");
    await page.keyboard.press("e");
    await page.getByLabel("Alt text").fill("A better text");
    // Letters are letters where somebody types.
    await page.keyboard.type(" ja");
    await page.keyboard.press("Control+Enter");
    await card(page, "c.png").getByText("Written into the CMS").waitFor();
    expect(of("c.png").alt).toBe("A better text ja");
    expect(await focused(page)).toBe("b.png");
    await page.keyboard.press("e");
    await page.keyboard.press("Escape");
    expect(await focused(page)).toBe("b.png");
    await page.getByLabel("Letters act").uncheck();
    await card(page, "b.png").focus();
    await page.keyboard.press("r");
    await page.getByLabel("Letters act").check();
    expect(await card(page, "b.png").getByRole("button", { name: "Reject" }).isVisible()).toBe(
      true,
    );
    await card(page, "b.png").focus();
    await page.keyboard.press("r");
    await card(page, "b.png").getByText("Rejected").waitFor();
    await page.getByText("1 waits", { exact: true }).waitFor();
    expect(of("b.png").alt).toBeNull();
  });

  test("words of a human that came meanwhile are told of, and stay", async () => {
    const page = await open(made.editor, "/review");
    of("a.png").alt = "By a human";
    await card(page, "a.png").waitFor();
    await page.keyboard.press("j");
    await card(page, "a.png").locator("q", { hasText: "By a human" }).waitFor();
    await card(page, "a.png").getByText("The alt text of others would stay.").waitFor();
    await page.keyboard.press("a");
    await card(page, "a.png").locator("[role=alert]", { hasText: "Somebody wrote" }).waitFor();
    await card(page, "a.png").getByText("Over: the file").waitFor();
    expect(of("a.png").alt).toBe("By a human");
    await page.getByText("Nothing waits", { exact: true }).waitFor();
  });

  test("many at once, page by page; what comes meanwhile is announced", async () => {
    const { connection, editor, client } = made;
    const { suggestions } = await client.suggestionList({ connection: connection.id });
    const [like] = suggestions;
    const more = Array.from({ length: many }, (_, index) => {
      const id = `sug_${String(index).padStart(32, "0")}`;
      return edge()
        .worker.db.prepare(
          `INSERT INTO suggestions (id, asset_id, file_name, state, connection_id, tenant, delivery, version, before, ours,
             image_id, model, model_revision, log_prob, itm, reason, created_at)
           SELECT ?1, ?1, ?2, 'open', connection_id, tenant, delivery, version, before, ours,
             image_id, model, model_revision, log_prob, 0.31, 'below_itm', created_at
           FROM suggestions WHERE id = ?3`,
        )
        .bind(id, `copy ${index}.png`, like?.id ?? "");
    });
    await edge().worker.db.batch(more.slice(0, many - 1));
    const page = await open(editor, "/review");
    await cards(page).nth(23).waitFor();
    expect(await cards(page).count()).toBe(24);
    await cards(page).first().getByText("The words match the picture less").waitFor();
    await cards(page).first().getByText("match 31 %").waitFor();
    await page.getByRole("button", { name: "More", exact: true }).press("Enter");
    await cards(page)
      .nth(many - 2)
      .waitFor();
    expect(await page.locator(".card:focus").count()).toBe(1);
    await edge().worker.db.batch(more.slice(many - 1));
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await page.getByRole("button", { name: "Show one more that has come" }).click();
    await page.getByText(`${many} wait`, { exact: true }).waitFor();
    const first = () => cards(page).first().locator("b").textContent();
    await expect.poll(first).toBe(`copy ${many - 1}.png`);

    await page.getByLabel("Select all that are shown").check();
    await page.getByText("24 selected").waitFor();
    await cards(page).first().getByRole("checkbox").uncheck();
    await page.locator("#bulk").getByRole("button", { name: "Reject" }).click();
    await page.getByText("23 rejected").waitFor();
    await page.getByText(`${many - 23} wait`, { exact: true }).waitFor();
    await page.getByLabel("Show", { exact: true }).selectOption("what was rejected");
    await cards(page).nth(23).waitFor();
    expect(new URL(page.url()).hash).toBe("#review&state=rejected");
    await page.getByLabel("from", { exact: true }).selectOption({ value: connection.id });
    await page.reload();
    await setKey(page, editor);
    await cards(page).nth(23).waitFor();
    expect(await page.getByLabel("Show", { exact: true }).inputValue()).toBe("rejected");
    // None of these assets is in the CMS.
    await page.getByLabel("Show", { exact: true }).selectOption("what waits");
    await cards(page).nth(6).waitFor();
    await page.getByLabel("Select all that are shown").check();
    await page.locator("#bulk").getByRole("button", { name: "Accept" }).click();
    await page.getByText("0 written, 7 not").waitFor();
  });

  test("nothing, a key that may not, and a Worker that fails, each say so", async () => {
    const { key } = await createApiKey();
    await edge().worker.putKey({ key, tenant: "quiet", name: "editor", scopes: ["review"] });
    const page = await open(key, "/review");
    await page.getByText("Nothing waits for review.").waitFor();
    const problem = toProblem(new AppError("suggestion_closed", "Not now."));
    await page.route("**/v1/suggestions?*", (route) =>
      route.fulfill({
        ...{ status: problem.status, contentType: "application/problem+json", json: problem },
      }),
    );
    await page.getByLabel("Show", { exact: true }).selectOption("all");
    await page.getByText("Not now.").waitFor();
    await page.unroute("**/v1/suggestions?*");
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("There are none here.").waitFor();
    const other = await open(edge().bob, "/review");
    await other.getByText("lacks the scope `review`").waitFor();
  });
}

async function setKey(page: Page, key: string): Promise<void> {
  await page.getByLabel("API key", { exact: true }).fill(key);
  await page.getByRole("button", { name: "Use" }).click();
}
