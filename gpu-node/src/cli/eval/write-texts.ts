// One text for each item from a model that writes, a few pictures at a time: a picture is read, looked at once
// for all its items, and forgotten. What an earlier run has written is not written again.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import type { GenerationModel } from "../../runtime/generation-model.ts";
import type { ImageReader } from "../read-image.ts";
import type { PartialResults } from "./partial-results.ts";

export interface Item {
  /** Unlike every other's. */
  readonly id: string | number;
  /** The picture. */
  readonly path: string;
  /** What the model reads after it. */
  readonly text: string | null;
}

export interface Written {
  readonly id: string | number;
  readonly text: string;
}

export interface WriteTextsOptions {
  readonly generation: Generation;
  readonly batch: number;
  readonly readImage: ImageReader;
  readonly kept: PartialResults<Written>;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, of: number) => void;
}

/** In the order of the items. Errors: those of the reader and the model. */
export async function writeTexts(
  model: GenerationModel,
  items: readonly Item[],
  options: WriteTextsOptions,
): Promise<readonly string[]> {
  const { generation, batch, readImage, kept, signal, onProgress } = options;
  const texts = new Map(kept.found.map(({ id, text }) => [String(id), text]));
  const left = items.filter(({ id }) => !texts.has(String(id)));
  const pictures = [...Map.groupBy(left, ({ path }) => path)];
  for (let from = 0; from < pictures.length; from += batch) {
    signal.throwIfAborted();
    const inputs: { id: Item["id"]; projected: Float32Array; text: string | null }[] = [];
    for (const [path, own] of pictures.slice(from, from + batch)) {
      const { pixels } = await readImage(path, model.manifest.image.size);
      const { projected } = await model.lookAt(pixels);
      for (const { id, text } of own) inputs.push({ id, projected: projected.data, text });
    }
    const { results } = await model.generateBatch(
      inputs.map(({ projected, text }) => ({ projected, text, generation })),
      { signal },
    );
    for (const [at, { text }] of results.entries()) {
      const id = inputs[at]?.id ?? "";
      texts.set(String(id), text);
      await kept.add({ id, text });
    }
    onProgress(texts.size, items.length);
  }
  return items.map(({ id }) => texts.get(String(id)) ?? "");
}
