// What every adapter must do, whatever the CMS: the suite as a function, run on each of them with its stand-in. What is
// proven is believed and nothing else is; no word of a human is overwritten, whenever it comes; nothing is
// written twice; whatever the CMS answers ends in a reason that an editor can read.
import { describe, expect, test } from "vitest";
import type { Adapter } from "../../edge/src/webhooks/adapter.ts";
import { adapters } from "../../edge/src/webhooks/adapters.ts";
import { cmsFlow, maxImageBytes, secretNamed, wordsFor, type CmsFlow } from "./cms-flow.ts";
import type { FakeAsset, FakeHook, FakeVendor, Fault } from "./fake-cms.ts";

const nowMs = Date.UTC(2026, 10, 23, 7, 20);
const path = `/v1/webhooks/con_${"1".repeat(32)}`;
const picture = (seed: number): Buffer => Buffer.from(`the bytes of picture ${seed}`);
const altOf = ({ bytes }: FakeAsset) => wordsFor(bytes, { alt: "alt" }).alt ?? null;
const isBlank = (text: string | null): boolean => (text ?? "") === "";
const html = "<!doctype html><html><body>Please log in</body></html>";

/** What a vendor cannot do is no case. */
function testIf(holds: boolean, name: string, run: () => Promise<void>): void {
  if (holds) test(name, run);
}

export function testAdapter(vendor: FakeVendor): void {
  describe(vendor.kind, () => {
    describe("a webhook", () => testProof(vendor));
    describe("what is written", () => testWriting(vendor));
    describe("a human's words", () => testHumans(vendor));
    describe("a CMS that fails", () => testFaults(vendor));
    describe("the sweep", () => testSweep(vendor));
  });
}

function testProof(vendor: FakeVendor): void {
  const { kind, proof } = vendor;
  const adapter = adapters[kind];
  const [first, second, third] = ["one", "two", "three"].map((name) => secretNamed(vendor, name));
  const asset: FakeAsset = {
    ...{ id: vendor.idOf(1, "image/png"), name: "img-1.png", mime: "image/png", uploads: 1 },
    ...{ bytes: picture(1), alt: null, caption: null, tags: null },
  };
  const hook = (secret = first, at = nowMs): FakeHook => {
    const made = vendor.hook("created", asset, secret ?? "", { path, nowMs: at });
    if (made === undefined) throw new Error("a vendor tells of uploads");
    return made;
  };
  const verify = ({ headers, body }: FakeHook, secrets: (string | undefined)[] = [first, second]) =>
    adapter.verify(
      {
        url: new URL(path, "https://edge.example"),
        ...{ headers: new Headers(headers), body: new TextEncoder().encode(body) },
      },
      secrets.filter((secret) => secret !== undefined),
      nowMs,
    );
  const refused = { code: "signature_invalid" };

  test("of either live secret is believed, and says which asset", async () => {
    for (const secret of [first, second]) {
      const [notice, ...more] = await verify(hook(secret));
      expect(notice).toMatchObject({ assetId: asset.id });
      expect(notice?.skip).toBeUndefined();
      expect(more).toEqual([]);
    }
  });

  test("of another secret, or of one that has ended, is refused", async () => {
    await expect(verify(hook(third))).rejects.toMatchObject(refused);
    await expect(verify(hook(second), [first])).rejects.toMatchObject(refused);
  });

  test.each(proof.headers)("without, or with another, %s is refused", async (name) => {
    const good = hook();
    const { [name]: _, ...without } = good.headers;
    await expect(verify({ ...good, headers: without })).rejects.toMatchObject(refused);
    for (const value of ["", "x", "1", `${good.headers[name]}x`]) {
      const other = { ...good.headers, [name]: value };
      await expect(verify({ ...good, headers: other })).rejects.toMatchObject(refused);
    }
  });

  testIf(proof.coversBody, "whose body was changed is refused", async () => {
    const good = hook();
    for (const body of [`${good.body} `, good.body.replace("{", "{ "), ""]) {
      await expect(verify({ ...good, body })).rejects.toMatchObject(refused);
    }
  });

  testIf(proof.windowMs !== null, "that is too old, or of the future, is refused", async () => {
    const windowMs = proof.windowMs ?? 0;
    for (const age of [windowMs, -windowMs]) {
      expect(await verify(hook(first, nowMs - age))).toHaveLength(1);
    }
    for (const age of [windowMs + 1000, -windowMs - 1000, 10 * 86_400_000]) {
      await expect(verify(hook(first, nowMs - age))).rejects.toMatchObject(refused);
    }
  });

  test("that asks for nothing is a row that says so, and no work", async () => {
    const flow = await cmsFlow(vendor);
    const gone = flow.cms.add({ bytes: picture(2) });
    const hooked = vendor.hook("deleted", gone, first ?? "", { path, nowMs: flow.now() });
    if (hooked === undefined) return;
    await flow.deliver(hooked);
    await flow.work();
    const [row] = await flow.deliveries();
    expect(row).toMatchObject({ state: "skipped" });
    expect(["unknown_event", "not_understood"]).toContain(row?.reason);
    expect(flow.cms.asked).toEqual([]);
  });
}

function testWriting(vendor: FakeVendor): void {
  test("an upload gets words; what has some, or is no picture, is left alone", async () => {
    const flow = await cmsFlow(vendor);
    const { cms } = flow;
    const plain = cms.add({ bytes: picture(1) });
    const titled = cms.add({ bytes: picture(2), alt: "By a human" });
    const text = cms.add({ bytes: Buffer.from("words"), mime: "text/plain" });
    const broken = cms.add({ bytes: Buffer.from("broken"), mime: "image/jpeg" });
    const login = cms.add({ bytes: Buffer.from(html) });
    const large = cms.add({ bytes: Buffer.alloc(maxImageBytes + 1) });
    const all = [plain, titled, text, broken, login, large];
    for (const asset of all) await flow.tell("created", asset);
    expect(await flow.ends(...all)).toEqual([
      ...["written null", "skipped has_words", "skipped not_an_image"],
      ...["failed file_broken", "failed login_page", "failed file_too_large"],
    ]);
    expect(plain.alt).toBe(altOf(plain));
    expect(plain.tags).toEqual(
      vendor.hasTags ? wordsFor(plain.bytes, { tags: "tags" }).tags : null,
    );
    expect(all.slice(1).map(({ alt }) => alt)).toEqual(["By a human", null, null, null, null]);
    expect(all.map(({ id }) => cms.writes(id))).toEqual([1, 0, 0, 0, 0, 0]);
  });

  test("what was not meant stays as it is, and a caption goes where it is told to", async () => {
    const { captionField } = vendor;
    const flow = await cmsFlow(vendor);
    const asset = flow.cms.add({ bytes: picture(3), caption: captionField && "By a human" });
    await flow.tell("created", asset);
    expect([asset.alt, asset.caption]).toEqual([altOf(asset), captionField && "By a human"]);
    if (captionField === null) return;

    const both = await cmsFlow(vendor, { fields: { caption: captionField } });
    const [bare, taken] = [3, 4].map((seed) => both.cms.add({ bytes: picture(seed) })) as [
      FakeAsset,
      FakeAsset,
    ];
    taken.caption = "By a human";
    for (const each of [bare, taken]) await both.tell("created", each);
    expect([bare.alt, bare.caption]).toEqual([
      altOf(bare),
      wordsFor(bare.bytes, { caption: "caption" }).caption,
    ]);
    expect([taken.alt, taken.caption]).toEqual([altOf(taken), "By a human"]);
  });

  test("ten times the same is one write, and our own write is no work", async () => {
    const flow = await cmsFlow(vendor);
    const asset = flow.cms.add({ bytes: picture(5) });
    const secret = secretNamed(vendor, "one");
    const first = vendor.hook("created", asset, secret, { path, nowMs: flow.now() });
    const second = vendor.hook("created", asset, secret, { path, nowMs: flow.now() + 1 });
    for (let copy = 0; copy < 5; copy++) {
      await Promise.all([flow.deliver(first), flow.deliver(second)]);
      if (copy === 2) await flow.work();
    }
    await flow.work();
    const own = vendor.hook("edited", asset, secret, { path, nowMs: flow.now() });
    if (own !== undefined) await flow.deliver(own);
    await flow.work();
    expect(flow.cms.writes(asset.id)).toBe(1);
    const rows = await flow.deliveries(asset);
    expect(rows.filter(({ state }) => state === "written")).toHaveLength(1);
    expect(rows.filter(({ state }) => state !== "written" && state !== "skipped")).toEqual([]);
  });

  testIf(vendor.canReplace, "a new file asks again while our words stand", async () => {
    const flow = await cmsFlow(vendor);
    const asset = flow.cms.add({ bytes: picture(6) });
    const secret = secretNamed(vendor, "one");
    const late = vendor.hook("created", asset, secret, { path, nowMs: flow.now() });
    replace(asset, 7);
    await flow.tell("replaced", asset);
    expect(asset.alt).toBe(altOf(asset));
    // What was sent before it comes after it.
    await flow.deliver(late);
    await flow.work();
    expect([asset.alt, flow.cms.writes(asset.id)]).toEqual([altOf(asset), 1]);
    replace(asset, 8);
    await flow.tell("replaced", asset);
    expect([asset.alt, flow.cms.writes(asset.id)]).toEqual([altOf(asset), 2]);
  });

  testIf(
    vendor.canReplace,
    "words of a file that was replaced meanwhile are not written",
    async () => {
      const flow = await cmsFlow(vendor);
      const asset = flow.cms.add({ bytes: picture(9) });
      flow.cms.before("read", 2, () => replace(asset, 10));
      await flow.tell("created", asset);
      await flow.work();
      expect([asset.alt, flow.cms.writes(asset.id)]).toEqual([altOf(asset), 1]);
    },
  );

  test("suggested, accepted with other words, undone: what was there is there again", async () => {
    const flow = await cmsFlow(vendor, { mode: "suggest" });
    const asset = flow.cms.add({ bytes: picture(11) });
    await flow.tell("created", asset);
    expect(await flow.ends(asset)).toEqual(["suggested mode_suggest"]);
    expect(asset.alt).toBeNull();
    const [open] = await flow.open();
    if (open === undefined) throw new Error("there is a suggestion");
    const accepted = await flow.accept(open, { alt: "An edited text" });
    expect([accepted.state, asset.alt]).toEqual(["written", "An edited text"]);
    const undone = await flow.undo(accepted);
    expect([undone.state, isBlank(asset.alt)]).toEqual(["undone", true]);
    expect(asset.tags ?? []).toEqual([]);
  });

  test("the token goes to the CMS's own origin alone, and into no log", async () => {
    const flow = await cmsFlow(vendor);
    await flow.tell("created", flow.cms.add({ bytes: picture(12) }));
    const token = flow.cms.token();
    const sent = vendor.tokenSent?.(token) ?? token;
    const own = "https://cms.example";
    const told = flow.asked.filter(({ url, headers }) =>
      `${url.href} ${JSON.stringify([...headers])}`.includes(sent),
    );
    expect(told.length).toBeGreaterThan(0);
    expect(told.filter(({ url }) => url.origin !== own)).toEqual([]);
    expect(flow.lines.length).toBeGreaterThan(0);
    for (const secret of [token, sent, secretNamed(vendor, "one")]) {
      expect(flow.lines.join("\n")).not.toContain(secret);
    }
  });
}

function testHumans(vendor: FakeVendor): void {
  const human = "A human was quicker";
  /** Tags are written beside alt text of others that came after the decision to describe. */
  const kept = vendor.hasTags ? "written null" : "skipped has_words";
  const edited = async (when: (flow: CmsFlow, edit: () => void) => void) => {
    const flow = await cmsFlow(vendor);
    const asset = flow.cms.add({ bytes: picture(20) });
    let isEdited = false;
    when(flow, () => {
      asset.alt = human;
      isEdited = true;
    });
    await flow.tell("created", asset);
    return isEdited ? [asset.alt, ...(await flow.ends(asset))] : "never edited";
  };

  test("between the upload and our look stay", async () => {
    expect(await edited((_, edit) => edit())).toEqual([human, "skipped has_words"]);
  });

  test("between our look and the file's bytes stay", async () => {
    expect(await edited(({ cms }, edit) => cms.before("file", 1, edit))).toEqual([human, kept]);
  });

  test("between our two looks stay", async () => {
    expect(await edited(({ cms }, edit) => cms.before("read", 2, edit))).toEqual([human, kept]);
  });

  testIf(vendor.checksRevision, "between our last look and our write stay", async () => {
    expect(await edited(({ cms }, edit) => cms.before("write", 1, edit))).toEqual([human, kept]);
    // Where writing begins with a look of the adapter's own, it is not that one that counts.
    const later = await edited(({ cms }, edit) => cms.before("read", 3, edit));
    expect([[human, kept], "never edited"]).toContainEqual(later);
  });

  testIf(vendor.canReplace, "stay when another file comes", async () => {
    const flow = await cmsFlow(vendor);
    const asset = flow.cms.add({ bytes: picture(21) });
    await flow.tell("created", asset);
    asset.alt = "Better words";
    replace(asset, 22);
    await flow.tell("replaced", asset);
    expect([asset.alt, ...(await flow.ends(asset))]).toEqual([
      ...["Better words", "skipped has_words"],
    ]);
  });

  test("stay when a suggestion is accepted, or undone, too late", async () => {
    const flow = await cmsFlow(vendor, { mode: "suggest", fields: { tags: null } });
    const [late, undone] = [23, 24].map((seed) => flow.cms.add({ bytes: picture(seed) }));
    if (late === undefined || undone === undefined) throw new Error("there are two");
    for (const asset of [late, undone]) await flow.tell("created", asset);
    const suggestionOf = async ({ id }: FakeAsset) => {
      const found = (await flow.open()).find(({ asset_id: assetId }) => assetId === id);
      if (found === undefined) throw new Error("there is a suggestion");
      return found;
    };
    const [first, second] = [await suggestionOf(late), await suggestionOf(undone)];
    late.alt = human;
    await expect(flow.accept(first)).rejects.toMatchObject({ code: "words_changed" });
    const accepted = await flow.accept(second);
    undone.alt = human;
    await expect(flow.undo(accepted)).rejects.toMatchObject({ code: "words_changed" });
    expect([late.alt, undone.alt]).toEqual([human, human]);
  });

  test("taken away stay away", async () => {
    const flow = await cmsFlow(vendor, { sweep_every_s: 3600 });
    const asset = flow.cms.add({ bytes: picture(25) });
    await flow.tell("created", asset);
    expect(asset.alt).toBe(altOf(asset));
    asset.alt = null;
    asset.tags = null;
    await flow.pass(7_200_000);
    expect([asset.alt, flow.cms.writes(asset.id)]).toEqual([null, 1]);
  });
}

function testFaults(vendor: FakeVendor): void {
  /** How it ends for a picture that is told of once something was arranged; and that nothing ends without a sentence. */
  async function end(arrange: (flow: CmsFlow, asset: FakeAsset) => void) {
    const flow = await cmsFlow(vendor);
    const asset = flow.cms.add({ bytes: picture(30) });
    const secret = secretNamed(vendor, "one");
    const hook = vendor.hook("created", asset, secret, { path, nowMs: flow.now() });
    arrange(flow, asset);
    await flow.deliver(hook);
    await flow.work();
    const [row] = await flow.deliveries(asset);
    expect(row?.detail === null).toBe(row?.state === "written");
    return { flow, asset, state: `${row?.state} ${row?.reason}` };
  }
  const fails = (what: "read" | "write", ...answers: Fault[]) =>
    end(({ cms }) => cms.failNext(what, ...answers));

  test("has no such asset: gone before our look, before its bytes, and before our write", async () => {
    for (const [what, count] of [
      ["read", 1],
      ["file", 1],
      ["read", 2],
      ["write", 1],
    ] as const) {
      const { state } = await end(({ cms }, { id }) =>
        cms.before(what, count, () => cms.assets.delete(id)),
      );
      expect(state, `${what} ${count}`).toBe("skipped asset_gone");
    }
  });

  test("revoked the token: waits, says so, and goes on with a new one", async () => {
    const { flow, asset, state } = await end(({ cms }) => cms.changeToken());
    expect(state).toBe("queued token_refused");
    await flow.changeToken(flow.cms.token());
    await flow.pass(60_000);
    expect([...(await flow.ends(asset)), asset.alt]).toEqual(["written null", altOf(asset)]);
  });

  test("lets us read and not write: waits and says so", async () => {
    const { asset, state } = await fails("write", { status: 403 });
    expect([state, asset.alt]).toEqual(["queued token_refused", null]);
  });

  test.each(["read", "write"] as const)(
    "asks us to slow down on a %s: the connection waits so long",
    async (what) => {
      const busy = { status: 429, headers: { "retry-after": "90" } };
      const { flow, asset, state } = await fails(what, busy);
      expect([state, asset.alt]).toEqual(["queued cms_busy", null]);
      expect((await flow.pausedUntil()) - flow.now()).toBeGreaterThanOrEqual(90_000);
      await flow.pass(89_000);
      expect(asset.alt).toBeNull();
      await flow.pass(61_000);
      expect([...(await flow.ends(asset)), asset.alt]).toEqual(["written null", altOf(asset)]);
      expect(flow.cms.writes(asset.id)).toBe(1);
    },
  );

  test.each<[string, Fault]>([
    ["cms_error", { status: 503 }],
    ["cms_unreachable", "unreachable"],
    ["cms_timeout", "hang"],
  ])("is away (%s): is asked again", async (reason, fault) => {
    for (const what of ["read", "write"] as const) {
      const { flow, asset, state } = await fails(what, fault);
      expect(state).toBe(`queued ${reason}`);
      await flow.pass(60_000);
      expect([...(await flow.ends(asset)), asset.alt]).toEqual(["written null", altOf(asset)]);
    }
  });

  test("answers with a page, or nothing: never taken for the row, nor for a write", async () => {
    const page = { status: 200, body: html };
    expect((await fails("read", page)).state).toBe("failed cms_unexpected");
    for (const answer of [page, { status: 204 }, { status: 200, body: {} }]) {
      const { state, asset } = await fails("write", answer);
      expect(["failed cms_unexpected", "skipped asset_gone"]).toContain(state);
      expect(asset.alt).toBeNull();
    }
  });

  test("took our write and told nobody: it is not written again", async () => {
    const flow = await cmsFlow(vendor);
    const asset = flow.cms.add({ bytes: picture(31) });
    flow.cms.before("write", 1, () => {
      asset.alt = altOf(asset);
      if (vendor.hasTags) asset.tags = wordsFor(asset.bytes, { tags: "tags" }).tags ?? null;
    });
    flow.cms.failNext("write", { status: 502 });
    await flow.tell("created", asset);
    expect(await flow.ends(asset)).toEqual(["queued cms_error"]);
    await flow.pass(60_000);
    expect([...(await flow.ends(asset)), flow.cms.writes(asset.id)]).toEqual(["written null", 0]);
  });
}

function testSweep(vendor: FakeVendor): void {
  test("finds what no webhook told of, once, in the version that a webhook names", async () => {
    const flow = await cmsFlow(vendor, { sweep_every_s: 3600 });
    const [missed, told] = [40, 41].map((seed) => flow.cms.add({ bytes: picture(seed) }));
    const titled = flow.cms.add({ bytes: picture(42), alt: "By a human" });
    const text = flow.cms.add({ bytes: Buffer.from("words"), mime: "text/plain" });
    if (missed === undefined || told === undefined) throw new Error("there are two");
    await flow.tell("created", told);
    await flow.pass(1000);
    expect([missed.alt, told.alt]).toEqual([altOf(missed), altOf(told)]);
    await flow.tell("created", missed);
    await flow.pass(7_200_000);
    for (const asset of [missed, told]) {
      const worked = (await flow.deliveries(asset)).filter(({ version }) => version !== null);
      expect([worked.length, flow.cms.writes(asset.id)]).toEqual([1, 1]);
    }
    expect([titled.alt, ...(await flow.deliveries(titled))]).toEqual(["By a human"]);
    expect(await flow.deliveries(text)).toEqual([]);
  });

  test("begins anew when the CMS no longer knows the place where its list was left", async () => {
    const flow = await cmsFlow(vendor, { sweep_every_s: 3600 });
    const missed = flow.cms.add({ bytes: picture(43) });
    await flow.leaveSweepAt("7");
    flow.cms.failNext("list", { status: 400 });
    await flow.pass(1000);
    await flow.pass(7_200_000);
    expect(missed.alt).toBe(altOf(missed));
  });

  test("lists every untitled picture and nothing else, page after page; and every picture where it can", async () => {
    const flow = await cmsFlow(vendor);
    const all: FakeAsset[] = [];
    for (let seed = 0; seed < 230; seed++) {
      all.push(flow.cms.add({ bytes: picture(seed), alt: seed % 10 === 0 ? "Titled" : null }));
      if (seed % 50 === 0) flow.cms.add({ bytes: Buffer.from("words"), mime: "text/plain" });
    }
    const { adapter, cms } = await flow.connected();
    const listed = async (list: Adapter["listUntitled"]): Promise<string[]> => {
      const found: string[] = [];
      let cursor: string | undefined;
      let pages = 0;
      do {
        const page = await list(cms, cursor);
        found.push(...page.assets.map(({ id }) => id));
        cursor = page.cursor;
        pages += 1;
      } while (cursor !== undefined && pages < 100);
      expect(pages).toBeGreaterThan(1);
      return found.toSorted();
    };
    const idsOf = (assets: readonly FakeAsset[]) => assets.map(({ id }) => id).toSorted();
    expect(await listed(adapter.listUntitled)).toEqual(
      idsOf(all.filter(({ alt }) => alt === null)),
    );
    if (adapter.listAll === undefined) return;
    expect(await listed(adapter.listAll)).toEqual(idsOf(all));
  });
}

function replace(asset: FakeAsset, seed: number): void {
  // Of another length: Strapi knows nothing else of a file's bytes.
  asset.bytes = Buffer.concat([picture(seed), Buffer.alloc(100 * seed)]);
  asset.uploads += 1;
}
