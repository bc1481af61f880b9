// What an evaluation asks a retrieval model by the places of its pictures and texts.
import type { RetrievalModel } from "../../runtime/retrieval-model.ts";
import { createPixelReader } from "./data.ts";

export interface Asked {
  readonly model: RetrievalModel;
  /** Pixels of a side. */
  readonly size: number;
  readonly paths: readonly string[];
  readonly texts: readonly string[];
  readonly options: Parameters<RetrievalModel["embedTexts"]>[1];
  readonly signal: AbortSignal;
}

export function askedModel({ model, size, paths, texts, options, signal }: Asked) {
  const readPixels = createPixelReader();
  const pixelsOf = async (picture: number): Promise<Uint8Array> => {
    signal.throwIfAborted();
    return readPixels(paths[picture] ?? "", size);
  };
  const textsAt = (places: readonly number[]): string[] =>
    places.map((place) => texts[place] ?? "");
  return {
    textsAt,
    /** The ViT's output. */
    imageEmbeds: async (picture: number) =>
      model.vision(model.pixelValues(await pixelsOf(picture))),
    /** [queries][dim] flat. */
    embedPicture: async (picture: number) =>
      (await model.lookAt(await pixelsOf(picture))).projected.data,
    embedTexts: async (places: readonly number[]) =>
      (await model.embedTexts(textsAt(places), options)).map(({ projected }) => projected.data),
  };
}
