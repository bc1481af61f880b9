// What a person decides about a suggestion. Edited, it waits on with that person's words. Accepted, it is written like any other: only where the field is empty or
// ours. Undone, it gives back what was there before, where our words still stand.
import { words as allWords } from "@blip2-edge/shared/contracts/connections";
import { invalidRequest, type FieldFault } from "@blip2-edge/shared/contracts/refuse";
import type { GivenWords } from "@blip2-edge/shared/contracts/suggestions";
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "../auth/caller.ts";
import type { Words } from "./adapter.ts";
import { CmsFault } from "./cms-fault.ts";
import { connect, type Connected, type ConnectedRooms } from "./connected.ts";
import { optionsOf, targetsOf, type ConnectionRecord } from "./connection-record.ts";
import { hasWords, isSame, missing } from "./may-write.ts";
import { reasons } from "./reasons.ts";
import { ownWords, type SuggestionRecord, type SuggestionStore } from "./suggestion-store.ts";
import { writeBack } from "./write-back.ts";

export interface DecideRooms {
  readonly connected: ConnectedRooms;
  readonly suggestions: Pick<SuggestionStore, "decide" | "edit" | "recent">;
}

export interface Decision {
  readonly connection: ConnectionRecord;
  readonly suggestion: SuggestionRecord;
  readonly caller: Pick<Caller, "keyId" | "fetchAllow">;
  readonly signal: AbortSignal;
}

const closed = ({ state }: SuggestionRecord, wants: string): AppError =>
  new AppError(
    "suggestion_closed",
    `The suggestion is ${state}; only one that is ${wants} can be.`,
  );

/** Throws suggestion_closed, and invalid_request for words that the connection does not write. */
export async function editSuggestion(
  { suggestions }: Pick<DecideRooms, "suggestions">,
  { connection, suggestion, caller }: Omit<Decision, "signal">,
  given: GivenWords,
): Promise<SuggestionRecord> {
  if (suggestion.state !== "open") throw closed(suggestion, "open");
  refuseWords(connection, given);
  const edited = await suggestions.edit(suggestion, present(given), caller.keyId);
  if (edited === undefined) {
    throw new AppError("suggestion_closed", "The suggestion was decided meanwhile.");
  }
  return edited;
}

/** Words that are given take the place of ours first. Throws what editing does, words_changed, cms_failed. */
export async function acceptSuggestion(
  rooms: DecideRooms,
  decision: Decision,
  given: GivenWords,
): Promise<SuggestionRecord> {
  const { connection, caller, signal } = decision;
  const { suggestions } = rooms;
  const isEdit = hasWords(missing(present(given), decision.suggestion.ours));
  const suggestion = isEdit ? await editSuggestion(rooms, decision, given) : decision.suggestion;
  if (suggestion.state !== "open") throw closed(suggestion, "open");
  return inCms(async () => {
    const connected = await connect(rooms.connected, connection, caller, signal);
    const { asset_id: assetId, version, ours, before } = suggestion;
    const wanted = onlyTargets(ours, connected);
    const recent = await suggestions.recent(connection.id, assetId);
    const { only_if_empty: onlyIfEmpty } = optionsOf(connection.kind, connection.options);
    const outcome = await writeBack(connected, {
      ...{ assetId, version, words: wanted },
      own: [...ownWords(recent), wanted],
      replaceable: onlyIfEmpty ? undefined : before,
    });
    if (outcome.kind === "written") {
      return suggestions.decide(suggestion, "written", caller.keyId, outcome.words);
    }
    await suggestions.decide(suggestion, "superseded", caller.keyId);
    throw new AppError(
      "words_changed",
      {
        gone: reasons.asset_gone,
        kept: "Somebody wrote words of their own meanwhile. They are left as they are.",
        replaced: "The file was replaced meanwhile, so these words are about another picture.",
      }[outcome.kind],
    );
  });
}

/** Throws suggestion_closed, words_changed, cms_failed. */
export async function undoSuggestion(
  { connected: rooms, suggestions }: DecideRooms,
  { connection, suggestion, caller, signal }: Decision,
): Promise<SuggestionRecord> {
  if (suggestion.state !== "written") throw closed(suggestion, "written");
  return inCms(async () => {
    const connected = await connect(rooms, connection, caller, signal);
    const { adapter, cms } = connected;
    const { asset_id: assetId, ours, before } = suggestion;
    const asset = await adapter.read(cms, assetId);
    if (asset === undefined) throw new AppError("words_changed", reasons.asset_gone);
    const back = Object.fromEntries(
      allWords
        .filter((word) => ours[word] !== undefined && isSame(asset.words[word], ours[word]))
        .map((word) => [word, before[word] ?? null]),
    ) as Words;
    const written = hasWords(back) ? await adapter.write(cms, asset, back) : "conflict";
    if (written !== "written" && written !== "saved") {
      throw new AppError(
        "words_changed",
        "What stands there now is not what was written. It is left as it is.",
      );
    }
    return suggestions.decide(suggestion, "undone", caller.keyId);
  });
}

const present = (given: GivenWords): Words =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Words;

/** What the connection would not write, and alt text that is longer than it says. */
function refuseWords({ kind, options: stored }: ConnectionRecord, given: GivenWords): void {
  const options = optionsOf(kind, stored);
  const targets = targetsOf(options);
  const faults: FieldFault[] = allWords
    .filter((word) => given[word] !== undefined && targets[word] === undefined)
    .map((field) => ({ field, message: "has no field of the CMS to go to" }));
  const { max_length: maxLength } = options;
  if (Array.from(given.alt ?? "").length > maxLength) {
    const message = `must have at most ${maxLength} characters, as the connection's max_length says`;
    faults.push({ field: "alt", message });
  }
  if (faults.length > 0) throw invalidRequest(faults);
}

/** Options may have changed since it was made. */
const onlyTargets = (words: Words, { cms: { targets } }: Connected): Words =>
  Object.fromEntries(
    allWords
      .filter((word) => words[word] !== undefined && targets[word] !== undefined)
      .map((word) => [word, words[word]]),
  ) as Words;

export async function inCms<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CmsFault)) throw error;
    const { retryAfterS, internal } = error;
    throw new AppError("cms_failed", error.message, {
      cause: error,
      ...(internal === undefined ? {} : { internal }),
      ...(retryAfterS === undefined ? {} : { retryAfterS }),
    });
  }
}
