import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { relativeBuckets } from "../../../gpu-node/src/models/relative-buckets.ts";
import { openSession } from "../../../gpu-node/src/runtime/ort.ts";
import { type FloatTensor, idTensor } from "../../../gpu-node/src/tensor/tensor.ts";
import { relativeError, testParity } from "../parity.ts";

const read = async (...path: string[]): Promise<unknown> =>
  JSON.parse(await readFile(join(import.meta.dirname, ...path), "utf8"));

/** Image features, then the ids of one text: no pads, so the mask is all ones. */
function encoderFeeds(projected: FloatTensor, ids: readonly number[]) {
  const source = (projected.dims[1] ?? 0) + ids.length;
  return {
    prefix_embeds: projected,
    input_ids: idTensor([ids]),
    attention_mask: idTensor([Array.from({ length: source }, () => 1)]),
  };
}

for (const name of ["published", "tied", "aliased", "scaled"]) {
  testParity(import.meta.dirname, name, (opened) => {
    test("the encoder's hidden states are within 1e-4 of the reference's scale", async () => {
      const { model, pixels, golden, folder, tensors } = opened();
      const encoder = await openSession(join(folder, "encoder.onnx"), {
        threads: 1,
        provider: "cpu",
      });
      const { projected } = await model.lookAt(pixels);
      for (const [at, run] of golden.runs.entries()) {
        const outputs = await encoder.run(encoderFeeds(projected, run.text_ids));
        const want = tensors.get(`encoder_hidden_states.${at}`);
        const made = outputs["encoder_hidden_states"];
        if (want === undefined || made?.type !== "float32") throw new Error("no hidden states");
        expect(made.dims).toEqual(want.shape);
        expect(relativeError(made.data, want), `run ${at}`).toBeLessThan(1e-4);
      }
      await encoder.release();
    });

    test("texts have the reference's ids, and ids its text", async () => {
      const { tokenizer } = opened().model;
      const { texts } = (await read(name, "golden.json")) as {
        texts: { text: string; ids: number[]; decoded: string }[];
      };
      expect(texts.length).toBeGreaterThan(15);
      for (const { text, ids, decoded } of texts) {
        expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
        expect(tokenizer.decode(ids), JSON.stringify(text)).toBe(decoded.trim());
      }
    });
  });
}

describe("relative position buckets", () => {
  test("are the reference's for every shape, near and far", async () => {
    const tables = (await read("buckets.json")) as {
      buckets: number;
      max_distance: number;
      bidirectional: boolean;
      table: number[];
    }[];
    expect(tables).toHaveLength(12);
    for (const { table, max_distance: maxDistance, ...shape } of tables) {
      const made = relativeBuckets({ ...shape, maxDistance });
      const clipped = table.map((_, at) => {
        const relative = Math.max(-maxDistance, Math.min(maxDistance, at - 300));
        return made[relative + maxDistance];
      });
      expect(clipped, JSON.stringify({ ...shape, maxDistance })).toEqual(table);
    }
  });
});
