// Editing a suggestion over SQLite: the words of a person take the place of the model's while it waits, are checked as
// the connection says, and are that person's and not ours once they are accepted.
import { beforeEach, expect, test } from "vitest";
import { memoryTables, type MemoryTables } from "../../../test/support/sqlite.ts";
import type { ConnectionRecord } from "./connection-record.ts";
import { editSuggestion } from "./decide-suggestion.ts";
import { ownWords, suggestionStore, type SuggestionStore } from "./suggestion-store.ts";
import { trailOf } from "./trail.ts";

const connection = {
  ...{ id: "con_1", tenant: "ada", kind: "strapi" },
  options: { max_length: 20, fields: { alt: "alternativeText", caption: "caption" } },
} as unknown as ConnectionRecord;
const caller = { keyId: "key-of-an-editor", fetchAllow: undefined } as never;

let table: MemoryTables;
let suggestions: SuggestionStore;
beforeEach(() => {
  table = memoryTables();
  suggestions = suggestionStore({ table, now: () => 5000 });
});

const suggested = () =>
  suggestions.add({
    ...{ connection_id: "con_1", tenant: "ada", delivery: "dlv_1", asset_id: "a", version: "1" },
    file_name: "cat.png",
    ...{ reason: "mode_suggest", before: { alt: null, caption: null } },
    ours: { alt: "A cat", caption: "A cat on a mat" },
    ...{
      image_id: `img_${"1".repeat(64)}`,
      model: "m",
      model_revision: "r",
      log_prob: -0.1,
      itm: null,
    },
  });
const edit = async (given: Parameters<typeof editSuggestion>[2], id?: string) => {
  const suggestion = id === undefined ? await suggested() : await suggestions.read("ada", id);
  return editSuggestion({ suggestions }, { connection, suggestion, caller }, given);
};

test("an edit changes the words that it names, keeps what the model said, and says who and when", async () => {
  const once = await edit({ alt: "Tom on his mat" });
  expect(once).toMatchObject({
    ...{ state: "open", edited_at: 5000, edited_by: "key-of-an-editor" },
    ours: { alt: "Tom on his mat", caption: "A cat on a mat" },
    original: { alt: "A cat", caption: "A cat on a mat" },
  });
  const twice = await edit({ alt: "Tom, asleep" }, once.id);
  expect([twice.ours.alt, twice.original?.alt]).toEqual(["Tom, asleep", "A cat"]);
  const { events } = await trailOf(table, "con_1", "a", undefined);
  expect(events.map(({ what, who }) => `${what} by ${who}`)).toEqual([
    ...["suggestion_edited by key-of-an-editor", "suggestion_edited by key-of-an-editor"],
  ]);
});

test("what a person wrote is not ours; what that person left as it was is", async () => {
  const edited = await edit({ alt: "Tom on his mat" });
  expect(ownWords([edited])).toEqual([{ caption: "A cat on a mat" }]);
  const back = await edit({ alt: "A cat " }, edited.id);
  expect(ownWords([back])).toEqual([{ alt: "A cat ", caption: "A cat on a mat" }]);
});

test("words that the connection would not write are refused by name, and nothing is changed", async () => {
  const { id } = await suggested();
  await expect(
    edit({ alt: "A cat that is much too long", tags: ["cat"] }, id),
  ).rejects.toMatchObject({
    code: "invalid_request",
    errors: [{ field: "tags" }, { field: "alt" }],
  });
  // Twenty characters, each of two UTF-16 units.
  expect((await edit({ alt: "😺".repeat(20) }, id)).ours.alt).toBe("😺".repeat(20));
  await expect(edit({ alt: "😺".repeat(21) }, id)).rejects.toMatchObject({
    code: "invalid_request",
  });
});

test("what is decided is not edited any more, also when it was decided a moment ago", async () => {
  const open = await suggested();
  await suggestions.decide(open, "rejected", "key");
  await expect(edit({ alt: "Late" }, open.id)).rejects.toMatchObject({ code: "suggestion_closed" });
  const stale = editSuggestion(
    { suggestions },
    { connection, suggestion: open, caller },
    { alt: "Late" },
  );
  await expect(stale).rejects.toMatchObject({ code: "suggestion_closed" });
  expect((await suggestions.read("ada", open.id)).ours.alt).toBe("A cat");
});
