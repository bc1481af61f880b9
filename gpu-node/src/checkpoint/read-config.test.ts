import { AppError } from "@blip2-edge/shared/problem";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tinyConfig } from "../../../test/support/tiny-checkpoint.ts";
import { parseModelConfig } from "./read-config.ts";

/** What the published blip2-opt-2.7b says; all else is a class default. */
const published = {
  architectures: ["Blip2ForConditionalGeneration"],
  model_type: "blip-2",
  image_token_index: 50265,
  vision_config: { dropout: 0, initializer_factor: 1, model_type: "blip_2_vision_model" },
  qformer_config: { model_type: "blip_2_qformer" },
  text_config: {
    model_type: "opt",
    hidden_size: 2560,
    ffn_dim: 10240,
    num_hidden_layers: 32,
    num_attention_heads: 32,
    vocab_size: 50304,
    eos_token_id: 50118,
    word_embed_proj_dim: 2560,
  },
};

describe("parseModelConfig", () => {
  test("fields that the published files omit take the class defaults", () => {
    expect(parseModelConfig(published)).toEqual({
      vision: {
        hidden: 1408,
        intermediate: 6144,
        layers: 39,
        heads: 16,
        headDim: 88,
        imageSize: 224,
        patchSize: 14,
        tokens: 257,
        layerNormEps: 1e-6,
        qkvBias: true,
      },
      qformer: {
        queries: 32,
        hidden: 768,
        intermediate: 3072,
        layers: 12,
        heads: 12,
        headDim: 64,
        layerNormEps: 1e-12,
        crossAttentionFrequency: 2,
      },
      text: {
        hidden: 2560,
        ffn: 10240,
        layers: 32,
        heads: 32,
        headDim: 80,
        vocab: 50304,
        context: 2048,
      },
      family: "opt",
      tokens: { image: 50265, bos: 2, pad: 1, eos: [50118] },
    });
  });

  test("whole sections may be absent, and 364 px gives 677 tokens", () => {
    const { vision, text } = parseModelConfig({
      model_type: "blip-2",
      vision_config: { image_size: 364 },
    });
    expect(vision.tokens).toBe(677);
    expect(text).toMatchObject({ hidden: 768, layers: 12, ffn: 3072, vocab: 50272 });
  });

  test("several end tokens, and image_token_id for image_token_index", () => {
    const { image_token_index: _, ...rest } = published;
    const text_config = { ...rest.text_config, eos_token_id: [2, 50118] };
    const { tokens } = parseModelConfig({ ...rest, text_config, image_token_id: 7 });
    expect(tokens).toMatchObject({ image: 7, eos: [2, 50118] });
  });

  const text = (fields: object) => ({ text_config: { ...tinyConfig.text_config, ...fields } });
  const vision = (fields: object) => ({
    vision_config: { ...tinyConfig.vision_config, ...fields },
  });
  const qformer = (fields: object) => ({
    qformer_config: { ...tinyConfig.qformer_config, ...fields },
  });
  test.each<[object, RegExp]>([
    [{ model_type: "llava" }, /model_type is "llava"; only "blip-2"/],
    [{ model_type: undefined }, /model_type is undefined/],
    [
      { architectures: ["Blip2Model"] },
      /architectures is \["Blip2Model"\]; only "Blip2ForConditionalGeneration" and "Blip2ForImageTextRetrieval" are/,
    ],
    [
      text({ model_type: "llama" }),
      /text_config\.model_type is "llama"; only "opt" and "t5" are supported/,
    ],
    [
      text({ do_layer_norm_before: false }),
      /text_config\.do_layer_norm_before is false; only true/,
    ],
    [text({ activation_function: "gelu" }), /text_config\.activation_function is "gelu"/],
    [text({ enable_bias: false }), /text_config\.enable_bias/],
    [text({ _remove_final_layer_norm: true }), /_remove_final_layer_norm/],
    [text({ layer_norm_elementwise_affine: false }), /layer_norm_elementwise_affine/],
    [text({ word_embed_proj_dim: 6 }), /word_embed_proj_dim 6 differs.*project_in/],
    [text({ num_attention_heads: 5 }), /text_config\.hidden_size 12 is not a multiple/],
    [text({ hidden_size: 0 }), /text_config\.hidden_size/],
    [text({ num_hidden_layers: 1e9 }), /text_config\.num_hidden_layers/],
    [text({ max_position_embeddings: 3 }), /num_query_tokens 3 leaves no room/],
    [{ image_token_index: 13 }, /image_token_index 13 is outside of text_config\.vocab_size 13/],
    [text({ pad_token_id: 50 }), /text_config\.pad_token_id 50 is outside/],
    [text({ eos_token_id: [] }), /text_config\.eos_token_id/],
    [vision({ hidden_act: "quick_gelu" }), /vision_config\.hidden_act is "quick_gelu"/],
    [vision({ patch_size: 9 }), /patch_size 9 is larger than image_size 8/],
    [vision({ num_channels: 4 }), /vision_config\.num_channels/],
    [vision({ layer_norm_eps: "x" }), /vision_config\.layer_norm_eps/],
    [qformer({ use_qformer_text_input: true }), /qformer_config\.use_qformer_text_input/],
    [qformer({ position_embedding_type: "relative_key" }), /position_embedding_type/],
    [{ image_token_id: 4 }, /image_token_index 11 and image_token_id 4 differ/],
  ])("refuses %j by the field's name", (change, message) => {
    const parse = () => parseModelConfig({ ...tinyConfig, ...change });
    expect(parse).toThrow(AppError);
    expect(parse).toThrow(message);
    expect(parse).toThrow(/^config\.json: /);
  });

  describe("of a T5 checkpoint", () => {
    /** What the published blip2-flan-t5-xl says. */
    const flan = {
      ...published,
      image_token_index: 32100,
      text_config: {
        model_type: "t5",
        bos_token_id: 1,
        d_ff: 5120,
        d_model: 2048,
        decoder_start_token_id: 0,
        dense_act_fn: "gelu",
        feed_forward_proj: "gated-gelu",
        is_gated_act: true,
        n_positions: 512,
        num_decoder_layers: 24,
        num_heads: 32,
        num_layers: 24,
        tie_word_embeddings: false,
        task_specific_params: { summarization: { num_beams: 4 } },
      },
    };
    const t5 = (fields: object) =>
      parseModelConfig({ ...flan, text_config: { ...flan.text_config, ...fields } });
    const parsed = (fields: object) => {
      const model = t5(fields);
      if (model.family !== "t5") throw new Error("not T5");
      return model;
    };

    test("fields that the published files omit take the class defaults", () => {
      expect(t5({})).toMatchObject({
        family: "t5",
        text: {
          hidden: 2048,
          ffn: 5120,
          encoderLayers: 24,
          decoderLayers: 24,
          heads: 32,
          headDim: 64,
          vocab: 32128,
          layerNormEps: 1e-6,
          buckets: 32,
          maxDistance: 128,
          activation: "gelu",
          gated: true,
          scaleOutputs: false,
          context: 512,
        },
        tokens: { image: 32100, bos: 1, pad: 0, eos: [1], start: 0 },
      });
      const bare = parseModelConfig({ model_type: "blip-2", text_config: { model_type: "t5" } });
      expect(bare).toMatchObject({
        text: { hidden: 512, encoderLayers: 6, decoderLayers: 6, gated: false, activation: "relu" },
        tokens: { image: undefined, bos: 1, pad: 0, eos: [1], start: 0 },
      });
    });

    test.each([
      [{ dense_act_fn: "gelu" }, "gelu"],
      [{ dense_act_fn: undefined }, "gelu_new"],
      [{ dense_act_fn: null, feed_forward_proj: "gated-relu" }, "relu"],
      [{ dense_act_fn: undefined, feed_forward_proj: "gelu" }, "gelu"],
      [{ dense_act_fn: "relu", feed_forward_proj: "gelu" }, "relu"],
    ])("the activation under %j is %s", (fields, activation) => {
      expect(parsed(fields).text.activation).toBe(activation);
    });

    test.each([
      [{}, false],
      [{ tie_word_embeddings: true }, true],
      [{ tie_word_embeddings: undefined }, true],
      [{ tie_word_embeddings: true, scale_decoder_outputs: false }, false],
      [{ tie_word_embeddings: false, scale_decoder_outputs: true }, true],
    ])("outputs under %j are scaled: %s", (fields, scaled) => {
      expect(parsed(fields).text.scaleOutputs).toBe(scaled);
    });

    test("a field that the file says outranks the one it is derived from", () => {
      expect(parsed({ is_gated_act: false }).text.gated).toBe(false);
      expect(parsed({ num_decoder_layers: 3 }).text).toMatchObject({
        encoderLayers: 24,
        decoderLayers: 3,
      });
      expect(parsed({ d_kv: 7 }).text).toMatchObject({ heads: 32, headDim: 7, hidden: 2048 });
    });

    test.each<[object, RegExp]>([
      [{ dense_act_fn: "silu" }, /dense_act_fn, feed_forward_proj\) is "silu"; supported are relu/],
      [{ feed_forward_proj: "gated-" }, /text_config\.feed_forward_proj/],
      [{ relative_attention_num_buckets: 2 }, /relative_attention_num_buckets/],
      [{ relative_attention_max_distance: 16 }, /max_distance 16 is not above half of .* 32/],
      [{ n_positions: 32 }, /num_query_tokens 32 leaves no room in text_config\.n_positions 32/],
      [{ decoder_start_token_id: 40000 }, /decoder_start_token_id 40000 is outside/],
      [{ d_kv: 0 }, /text_config\.d_kv/],
    ])("refuses %j by the field's name", (fields, message) => {
      expect(() => t5(fields)).toThrow(message);
    });
  });

  describe("of a retrieval checkpoint", () => {
    /** What the published blip2-itm-vit-g says; its text_config is a default that nothing reads. */
    const itm = {
      architectures: ["Blip2ForImageTextRetrieval"],
      model_type: "blip-2",
      image_token_index: null,
      qformer_config: { vocab_size: 30523, use_qformer_text_input: true },
      text_config: { model_type: "opt", num_attention_heads: 5 },
    };

    test("fields that the published files omit take the class defaults", () => {
      expect(parseModelConfig(itm)).toMatchObject({
        family: "retrieval",
        vision: { hidden: 1408, layers: 39 },
        qformer: { queries: 32, hidden: 768, layers: 12 },
        text: { vocab: 30523, context: 512, dim: 256 },
        tokens: { image: null, pad: 0 },
      });
      const bare = { architectures: itm.architectures, model_type: "blip-2" };
      expect(parseModelConfig(bare)).toMatchObject({ text: { vocab: 30522 } });
    });

    test("the placeholder may be named, and text_config may be anything", () => {
      const model = { ...itm, image_token_index: 30524, text_config: 7, image_text_hidden_size: 9 };
      expect(parseModelConfig(model)).toMatchObject({ text: { dim: 9 }, tokens: { image: 30524 } });
    });

    const qformer = (fields: object) => ({ qformer_config: { ...itm.qformer_config, ...fields } });
    test.each<[object, RegExp]>([
      [qformer({ vocab_size: 0 }), /qformer_config\.vocab_size/],
      [qformer({ max_position_embeddings: "x" }), /qformer_config\.max_position_embeddings/],
      [qformer({ pad_token_id: 30523 }), /pad_token_id 30523 is outside of qformer_config\.vocab/],
      [qformer({ num_attention_heads: 5 }), /qformer_config\.hidden_size 768 is not a multiple/],
      [qformer({ position_embedding_type: "relative_key" }), /position_embedding_type/],
      [{ image_text_hidden_size: 1.5 }, /image_text_hidden_size/],
      [{ image_token_id: 4, image_token_index: 5 }, /image_token_index 5 and image_token_id 4/],
    ])("refuses %j by the field's name", (change, message) => {
      expect(() => parseModelConfig({ ...itm, ...change })).toThrow(message);
    });
  });

  test("all faults come in one message", () => {
    const config = { ...tinyConfig, ...text({ enable_bias: false }), num_query_tokens: 0 };
    expect(() => parseModelConfig(config)).toThrow(/num_query_tokens.*enable_bias/);
  });

  test("no JSON does anything but parse or be refused by name", () => {
    const value = fc.oneof(
      fc.constantFrom(-1, 0, 1, 7, 1e9, null, "opt", "t5", true, {}),
      fc.jsonValue(),
    );
    const part = (known: object) =>
      fc.record(Object.fromEntries(Object.keys(known).map((key) => [key, value])), {
        requiredKeys: [],
      });
    const config = fc.record(
      {
        vision_config: part(tinyConfig.vision_config),
        qformer_config: part(tinyConfig.qformer_config),
        text_config: part(tinyConfig.text_config),
        architectures: fc.constantFrom(
          undefined,
          ["Blip2ForImageTextRetrieval"],
          ["Blip2ForConditionalGeneration"],
        ),
        num_query_tokens: value,
        image_token_index: value,
        image_text_hidden_size: value,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(config, fc.jsonValue()), (json) => {
        try {
          parseModelConfig({ model_type: "blip-2", ...(json as object) });
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          expect(String(error)).toContain("config.json: ");
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each([null, [], "x", 3])("refuses %j", (json) => {
    expect(() => parseModelConfig(json)).toThrow(AppError);
  });
});
