// How every task begins: the model first, so that a wrong name costs no fetch; then the picture. When the
// node turns out to hold another revision than the catalogue we believed, all but the fetch is done again,
// once.
import { AppError } from "@blip2-edge/shared/problem";
import type { Ability, CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { AuthenticatedContext } from "../context.ts";
import {
  loadPicture,
  openPicture,
  type LoadedPicture,
  type OpenedPicture,
  type PictureSource,
} from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";

export interface ModelWish {
  /** Undefined: one that can do it is chosen. */
  readonly model: string | undefined;
  readonly ability: Ability;
}

/** Does `work` with the model; throws what it throws, but no revision_mismatch. */
export async function withModel<Result>(
  rooms: Rooms,
  { model: name, ability }: ModelWish,
  context: AuthenticatedContext,
  work: (model: CatalogModel) => Promise<Result>,
): Promise<Result> {
  const { event, signal } = context;
  const workWith = (model: CatalogModel): Promise<Result> => {
    event["model"] = model.model;
    event["model_revision"] = model.model_revision;
    return work(model);
  };
  const believed = await rooms.models.resolve(name, ability, signal);
  try {
    return await workWith(believed);
  } catch (error) {
    if (!isMismatch(error)) throw error;
  }
  event["catalog_refreshed"] = true;
  const fresh = await rooms.models.resolveFresh(name, ability, signal);
  try {
    return await workWith(fresh);
  } catch (error) {
    if (!isMismatch(error)) throw error;
    throw replaced();
  }
}

const replaced = (): AppError =>
  new AppError("not_ready", "The model is being replaced. Try again.", { retryAfterS: 2 });

const isMismatch = (error: unknown): boolean =>
  error instanceof AppError && error.code === "revision_mismatch";

/**
 * The same with a picture, which is fetched once and opened once at the model's size. When the revision
 * that takes its place wants another size, the caller is asked to come again.
 */
export function withPicture<Result>(
  rooms: Rooms,
  wish: ModelWish & { readonly picture: PictureSource },
  context: AuthenticatedContext,
  work: (model: CatalogModel, picture: OpenedPicture) => Promise<Result>,
): Promise<Result> {
  let loaded: LoadedPicture | undefined;
  let opened: OpenedPicture | undefined;
  return withModel(rooms, wish, context, async (model) => {
    const size = model.image_size;
    if (opened?.pixels === undefined || opened.size !== size) {
      if (opened?.pixels !== undefined) throw replaced();
      loaded ??= await loadPicture(rooms, wish.picture, context);
      opened = await openPicture(rooms, loaded, size, context);
      // A file is let go of as soon as its pixels are there: it is much, and a node may take its time.
      if (loaded.kind === "file") loaded = undefined;
    }
    return work(model, opened);
  });
}
