// `blip2-edge suggestions …`: words for pictures of a CMS that wait for review, and what a person decides about them.
import type { Client } from "@blip2-edge/shared/client";
import {
  editSuggestionSchema,
  listSuggestionsQuerySchema,
  oneSuggestionSchema,
  type Suggestion,
} from "@blip2-edge/shared/contracts/suggestions";
import { parseOrRefuse } from "@blip2-edge/shared/contracts/refuse";
import { eachId } from "./each-id.ts";
import { everyPage } from "./every-page.ts";
import {
  clientOf,
  commonHelp,
  ids,
  orUsage,
  parseFlags,
  runAction,
  usageError,
  type Command,
} from "./flags.ts";
import type { CliIo } from "./io.ts";
import { plain } from "./plain.ts";

const usages = {
  list: "blip2-edge suggestions list [CONNECTION] [--state STATE]",
  accept: "blip2-edge suggestions accept ID...",
  edit: "blip2-edge suggestions edit ID [--alt TEXT] [--caption TEXT] [--tag TAG]...",
  reject: "blip2-edge suggestions reject ID...",
  undo: "blip2-edge suggestions undo ID...",
};

const suggestionsUsage = `blip2-edge suggestions ${Object.keys(usages).join(" | ")}`;
export const suggestionsHelp = `${Object.values(usages).join("\n")}

accept writes into the CMS, where nobody else has written meanwhile; edit changes the words and writes nothing;
undo gives back what was there before, where what was written still stands.

  --state STATE  open, written, rejected, undone or superseded; default: all
  --alt, --caption, --tag
                 what takes the place of our words; what is left out stays. --tag '' is no tags
${commonHelp}
Exit status 0 only when all that was asked is done.`;

/** Exit status: 1 when one of several was not done. Errors: AppError, for the entry to print. */
export const suggestions: Command = async (args, io) =>
  runAction("suggestions", actions, args, io, suggestionsUsage);

const text = { type: "string" } as const;

const actions: Readonly<Record<keyof typeof usages, Command>> = {
  async list(args, io) {
    const usage = usages.list;
    const { values, positionals } = parseFlags(args, { state: text }, usage);
    const [connection, ...more] = positionals;
    if (more.length > 0) throw usageError("Give one connection or none", usage);
    const asked = orUsage(usage, () =>
      parseOrRefuse(listSuggestionsQuerySchema, { connection, state: values.state }),
    );
    const client = clientOf(values, io, usage);
    const read = (cursor?: string) =>
      client.suggestionList({ ...asked, cursor }, { signal: io.signal });
    for await (const page of everyPage(read)) {
      for (const suggestion of page.suggestions) tell(suggestion, values.json, io);
    }
    return 0;
  },

  async edit(args, io) {
    const usage = usages.edit;
    const flags = { alt: text, caption: text, tag: { type: "string", multiple: true } } as const;
    const { values, positionals } = parseFlags(args, flags, usage);
    const [id] = ids(positionals, 1, usage);
    const { alt, caption } = values;
    const tags = values.tag?.filter((tag) => tag !== "");
    const request = orUsage(usage, () =>
      parseOrRefuse(editSuggestionSchema, { id, alt, caption, tags }),
    );
    const client = clientOf(values, io, usage);
    tell(await client.suggestionEdit(request, { signal: io.signal }), values.json, io);
    return 0;
  },

  accept: decide("accept", (client, id, signal) => client.suggestionAccept({ id }, { signal })),
  reject: decide("reject", (client, id, signal) => client.suggestionReject({ id }, { signal })),
  undo: decide("undo", (client, id, signal) => client.suggestionUndo({ id }, { signal })),
};

function decide(
  name: "accept" | "reject" | "undo",
  ask: (client: Client, id: string, signal: AbortSignal) => Promise<Suggestion>,
): Command {
  return async (args, io) => {
    const usage = usages[name];
    const { values, positionals } = parseFlags(args, {}, usage);
    if (positionals.length === 0) throw usageError("Give the ids of suggestions", usage);
    for (const id of positionals) orUsage(usage, () => parseOrRefuse(oneSuggestionSchema, { id }));
    const client = clientOf(values, io, usage);
    return eachId(
      positionals,
      io,
      async (id) => tell(await ask(client, id, io.signal), values.json, io),
      ["not_found", "suggestion_closed", "words_changed", "cms_failed"],
    );
  };
}

function tell(suggestion: Suggestion, json: boolean, io: CliIo): void {
  if (json) return io.stdout(JSON.stringify(suggestion));
  const { id, state, asset_id, ours, log_prob, itm, edited_at: editedAt } = suggestion;
  const scores = `log_prob ${log_prob.toFixed(2)}, itm ${itm === null ? "-" : itm.toFixed(2)}`;
  const said = JSON.stringify(ours.alt ?? ours.caption ?? "");
  const whose = editedAt === null ? [] : ["edited"];
  io.stdout(plain([id, state.padEnd(10), `asset ${asset_id}`, scores, ...whose, said].join("  ")));
}
