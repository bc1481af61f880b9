// Scores of texts over a picture: what matching and classifying have in common. Each score of each text is
// cached by itself, and a node is asked only for those that are missing.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { CatalogModel, ScoreName } from "@blip2-edge/shared/wire/protocol";
import type { CacheOutcome } from "../cache/answer-headers.ts";
import { scoreKey } from "../cache/keys.ts";
import type { AuthenticatedContext } from "../context.ts";
import { matchCall } from "../nodes/calls.ts";
import { askNodeAbout } from "./ask-node.ts";
import type { OpenedPicture, PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";
import { throughCache } from "./through-cache.ts";
import { withPicture } from "./with-model.ts";

export interface ScoreTask {
  readonly picture: PictureSource;
  readonly model: string | undefined;
  readonly texts: readonly string[];
  readonly scores: readonly ScoreName[];
}

export interface Scored {
  readonly model: CatalogModel;
  readonly imageId: ImageId;
  readonly exact: boolean;
  /** A score that was asked for, of a text that was. */
  readonly of: (text: string, score: ScoreName) => number;
  readonly outcome: CacheOutcome;
}

interface Wanted {
  readonly text: string;
  readonly score: ScoreName;
}

const nameOf = ({ text, score }: Wanted): string => `${score} ${text}`;

export function score(
  rooms: Rooms,
  task: ScoreTask,
  context: AuthenticatedContext,
): Promise<Scored> {
  return withPicture(rooms, { ...task, ability: "match" }, context, async (model, picture) => {
    const { imageId, exact, partitions } = picture;
    const modelRevision = model.model_revision;
    const items = new Map<string, Wanted>();
    for (const text of task.texts) {
      for (const name of task.scores) {
        const item = { text, score: name };
        items.set(nameOf(item), item);
      }
    }
    const cached = await throughCache(
      rooms,
      {
        items: [...items.values()],
        partitions,
        keyOf: ({ text, score: name }) => scoreKey({ imageId, modelRevision, text, score: name }),
        compute: (missing) => scoresFromNode(rooms, model, picture, missing, context),
      },
      context,
    );
    return {
      model,
      imageId,
      exact,
      outcome: cached.outcome,
      of(text, name) {
        const item = items.get(nameOf({ text, score: name }));
        if (item === undefined) throw new Error("a score that was not asked for");
        return cached.of(item);
      },
    };
  });
}

/**
 * A node scores texts alike, so texts that lack different scores take a call each kind: mostly one call,
 * at most three. They follow each other: the first leaves the picture's features on the node.
 */
async function scoresFromNode(
  rooms: Rooms,
  model: CatalogModel,
  picture: OpenedPicture,
  missing: readonly Wanted[],
  context: AuthenticatedContext,
): Promise<number[]> {
  const lacking = Map.groupBy(missing, ({ text }) => text);
  const namesOf = (text: string): ScoreName[] => (lacking.get(text) ?? []).map((one) => one.score);
  const calls = Map.groupBy(lacking.keys(), (text) => namesOf(text).join(" "));
  const values = new Map<string, number>();
  for (const texts of calls.values()) {
    const scores = namesOf(texts[0] ?? "");
    const { matches } = await askNodeAbout(
      rooms,
      matchCall,
      model,
      picture,
      (about) => ({ ...about, texts, scores }),
      context,
    );
    for (const [index, text] of texts.entries()) {
      for (const name of scores) {
        const value = matches[index]?.[name];
        if (value !== undefined) values.set(nameOf({ text, score: name }), value);
      }
    }
  }
  return missing.map((item) => {
    const value = values.get(nameOf(item));
    if (value === undefined) throw new Error("a score is missing");
    return value;
  });
}
