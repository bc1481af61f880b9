// What a suggestion would meet in the CMS: the words that stand there now, and which of ours would be written.
import type { CurrentWords } from "@blip2-edge/shared/contracts/review";
import { words as allWords } from "@blip2-edge/shared/contracts/connections";
import { connect } from "./connected.ts";
import { optionsOf } from "./connection-record.ts";
import { inCms, type Decision, type DecideRooms } from "./decide-suggestion.ts";
import { writable } from "./may-write.ts";
import { ownWords, told } from "./suggestion-store.ts";

/** Throws cms_failed. */
export async function currentWords(
  { connected: rooms, suggestions }: DecideRooms,
  { connection, suggestion, caller, signal }: Decision,
): Promise<CurrentWords> {
  const { asset_id: assetId, ours, before, version } = suggestion;
  const asset = await inCms(async () => {
    const { adapter, cms } = await connect(rooms, connection, caller, signal);
    return adapter.read(cms, assetId);
  });
  if (asset === undefined) return { asset: "gone", words: {}, writable: [] };
  const { only_if_empty: onlyIfEmpty } = optionsOf(connection.kind, connection.options);
  const may = writable(ours, asset.words, {
    own: ownWords(await suggestions.recent(connection.id, assetId)),
    replaceable: onlyIfEmpty ? undefined : before,
  });
  return {
    asset: asset.version === version ? "there" : "replaced",
    words: told(asset.words),
    writable: allWords.filter((word) => may[word] !== undefined),
  };
}
