// The whole story of one delivery: read the asset, decide whether there is something to do, fetch its bytes, say
// what is in them, and write it or suggest it. Every step may be the last one that a Worker lives to do: whoever
// takes the row up again finds in D1 and in the CMS what was done.
import type { ConnectionOptions } from "@blip2-edge/shared/contracts/connections";
import { AppError } from "@blip2-edge/shared/problem";
import type { AuthenticatedContext } from "../context.ts";
import type { Rooms } from "../tasks/rooms.ts";
import type { Asset, Words } from "./adapter.ts";
import { connect, type Connected, type ConnectedRooms } from "./connected.ts";
import { optionsOf, type ConnectionRecord } from "./connection-record.ts";
import type { DeliveryRecord } from "./delivery-record.ts";
import type { DeliveryStore } from "./delivery-store.ts";
import { describe } from "./describe.ts";
import { asIfEmpty, hasWords, isSame, writable, type WriteRule } from "./may-write.ts";
import { because, Hopeless, tellReason, type Explained, type Reason } from "./reasons.ts";
import { ownWords, type SuggestionRecord, type SuggestionStore } from "./suggestion-store.ts";
import { writeBack } from "./write-back.ts";

export interface ProcessRooms extends ConnectedRooms {
  readonly deliveries: Pick<DeliveryStore, "adoptVersion" | "described" | "receive">;
  readonly suggestions: Pick<SuggestionStore, "add" | "recent" | "decide">;
  /** What looks at a picture; of tests their own. */
  readonly describe?: typeof describe;
}

export interface Processed {
  readonly state: "written" | "suggested" | "skipped";
  readonly why: Explained | undefined;
}

const skipped = (reason: Reason): Processed => ({ state: "skipped", why: because(reason) });

/** Throws CmsFault, Hopeless and what captions throw. */
export async function processDelivery(
  rooms: ProcessRooms,
  tasks: Rooms,
  connection: ConnectionRecord,
  delivery: DeliveryRecord,
  context: AuthenticatedContext,
): Promise<Processed> {
  const options = optionsOf(connection.kind, connection.options);
  if (options.mode === "off") return skipped("mode_off");
  const connected = await connect(rooms, connection, context.caller, context.signal);
  const asset = await connected.adapter.read(connected.cms, delivery.asset_id);
  if (asset === undefined) return skipped("asset_gone");
  if (asset.version !== delivery.version) {
    const isOurs = await rooms.deliveries.adoptVersion(delivery, asset.version);
    if (!isOurs) return skipped("superseded");
  }
  const recent = await rooms.suggestions.recent(connection.id, asset.id);
  const replaceable = options.only_if_empty ? undefined : asset.words;
  const rule: WriteRule = { own: ownWords(recent), replaceable };
  const why = idleBecause(options, connected, asset, rule, recent[0]);
  // Written for this very row, by a Worker that did not live to say so.
  const isWritten = why === "own_words" && recent[0]?.delivery === delivery.id;
  if (isWritten) return { state: "written", why: undefined };
  if (why !== undefined) return skipped(why);
  // New words would take the place of a person's.
  const [latest] = recent;
  const isEdited = latest?.state === "open" && latest.edited_at !== null;
  if (isEdited && latest.version === asset.version) {
    return { state: "suggested", why: because("edited") };
  }
  const suggestion = await suggest(rooms, tasks, connection, delivery, connected, asset, context);
  if (suggestion === "gone") return skipped("asset_gone");
  if (options.mode === "suggest" || suggestion.reason !== null) {
    const reason = suggestion.reason ?? "mode_suggest";
    return { state: "suggested", why: { reason, detail: tellReason(reason) } };
  }
  return apply(rooms, connection, connected, suggestion, rule);
}

/** Why nothing is to be done, before a byte is fetched. */
function idleBecause(
  options: ConnectionOptions,
  { cms }: Connected,
  asset: Asset,
  rule: WriteRule,
  latest: SuggestionRecord | undefined,
): Reason | undefined {
  const { mimeType: type, fileName: name = "" } = asset;
  if (type !== undefined && !type.startsWith("image/")) return "not_an_image";
  if (type !== undefined && !options.types.includes(type)) return "type_not_wanted";
  if (options.decorative.some((pattern) => fits(name, pattern))) return "decorative";
  const fields = cms.targets;
  if (!hasWords(writable(asIfEmpty(asset.words), asset.words, rule))) return "has_words";
  // Alt text that others wrote says that they have looked: their picture is left alone altogether.
  if (fields.alt !== undefined && !hasWords(writable({ alt: null }, asset.words, rule))) {
    return "has_words";
  }
  const isDone =
    latest?.state === "written" &&
    latest.version === asset.version &&
    holds(asset.words, latest.ours);
  return isDone ? "own_words" : undefined;
}

const holds = (current: Words, ours: Words): boolean =>
  (["alt", "caption", "tags"] as const).every(
    (word) => ours[word] === undefined || isSame(current[word], ours[word]),
  );

function fits(name: string, pattern: string): boolean {
  const parts = pattern
    .split("*")
    .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join(".*")}$`, "iu").test(name);
}

async function suggest(
  rooms: ProcessRooms,
  tasks: Rooms,
  connection: ConnectionRecord,
  delivery: DeliveryRecord,
  { cms, fetchBytes }: Connected,
  asset: Asset,
  context: AuthenticatedContext,
): Promise<SuggestionRecord | "gone"> {
  const bytes = await fetchBytes(asset.file, context.memory);
  if (bytes === undefined) return "gone";
  const options = optionsOf(connection.kind, connection.options);
  const { describe: look = describe } = rooms;
  const said = await look(tasks, bytes, cms.targets, options, context).catch((error: unknown) => {
    throw error instanceof AppError ? ofFile(error) : error;
  });
  await rooms.deliveries.described(delivery);
  return rooms.suggestions.add({
    ...{ connection_id: connection.id, tenant: connection.tenant, delivery: delivery.id },
    ...{ asset_id: asset.id, version: asset.version, file_name: asset.fileName ?? null },
    reason: said.doubt ?? null,
    ...{ before: asset.words, ours: said.words },
    ...{ image_id: said.imageId, model: said.model, model_revision: said.modelRevision },
    ...{ log_prob: said.logProb, itm: said.itm },
  });
}

/** What is wrong with the file, in an editor's words. */
function ofFile(error: AppError): Error {
  switch (error.code) {
    case "image_not_recognised":
    case "image_type_unsupported":
    case "image_corrupt":
      return new Hopeless("file_broken", error);
    case "image_too_large":
      return new Hopeless("file_too_large", error);
    default:
      return error;
  }
}

async function apply(
  rooms: ProcessRooms,
  connection: ConnectionRecord,
  connected: Connected,
  suggestion: SuggestionRecord,
  rule: WriteRule,
): Promise<Processed> {
  const { asset_id: assetId, version, ours, before } = suggestion;
  const outcome = await writeBack(connected, {
    ...{ assetId, version, words: ours },
    // Also what a Worker wrote that did not live to say so.
    own: [...rule.own, ours],
    replaceable: rule.replaceable === undefined ? undefined : before,
  });
  if (outcome.kind === "written") {
    await rooms.suggestions.decide(suggestion, "written", "worker", outcome.words);
    return {
      state: "written",
      why: outcome.isSaved === true ? because("not_published") : undefined,
    };
  }
  await rooms.suggestions.decide(suggestion, "superseded", "worker");
  if (outcome.kind === "gone") return skipped("asset_gone");
  if (outcome.kind === "kept") return skipped("has_words");
  // The webhook of the new file may be lost or late: it is asked for here too.
  const notice = { event: "replaced", assetId, version: outcome.version };
  await rooms.deliveries.receive(connection.id, [notice], "sweep");
  return skipped("superseded");
}
