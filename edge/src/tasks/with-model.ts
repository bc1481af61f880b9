// How every task begins: the model first, so that a wrong name costs no fetch; then the picture. When the
// node turns out to hold another revision than the catalogue we believed, all but the fetch is done again,
// once.
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import type { Ability, CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { AuthenticatedContext } from "../context.ts";
import type { OpenedPicture, PictureSource } from "./open-picture.ts";
import { openPicture } from "./open-source.ts";
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
    if (!isCode(error, "revision_mismatch")) throw error;
  }
  event["catalog_refreshed"] = true;
  const fresh = await rooms.models.resolveFresh(name, ability, signal);
  try {
    return await workWith(fresh);
  } catch (error) {
    if (!isCode(error, "revision_mismatch")) throw error;
    throw replaced();
  }
}

const replaced = (): AppError =>
  new AppError("not_ready", "The model is being replaced. Try again.", { retryAfterS: 2 });

const isCode = (error: unknown, code: ProblemCode): boolean =>
  error instanceof AppError && error.code === code;

/**
 * The same with a picture, which is opened once at the model's size. When the revision that takes its place
 * wants another size of a picture that was read, the caller is asked to come again: its file was let go of.
 */
export function withPicture<Result>(
  rooms: Rooms,
  wish: ModelWish & { readonly picture: PictureSource },
  context: AuthenticatedContext,
  work: (model: CatalogModel, picture: OpenedPicture) => Promise<Result>,
): Promise<Result> {
  let opened: OpenedPicture | undefined;
  return withModel(rooms, wish, context, async (model) => {
    const size = model.image_size;
    if (opened?.size !== size) {
      if (opened?.pixels !== undefined) throw replaced();
      opened = await openPicture(rooms, wish.picture, size, context);
    }
    const workWith = async (picture: OpenedPicture): Promise<Result> => {
      const result = await work(model, picture);
      // Where no node was asked, nobody has kept it yet.
      if (picture.keeping !== undefined) context.later(picture.keeping.unlessClaimed());
      return result;
    };
    try {
      return await workWith(opened);
    } catch (error) {
      // It was known, and its pixels are not where they should be: what was known is forgotten.
      if (!isCode(error, "image_pixels_gone") || opened.forget === undefined) throw error;
      await opened.forget();
      if (opened.again === undefined) throw error;
      opened = await opened.again();
      return workWith(opened);
    }
  });
}
