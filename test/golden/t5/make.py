"""Makes the goldens of the T5 family: tiny random checkpoints in the published layout, and what
transformers computes with them.

    pip install torch transformers==5.18.0 tokenizers safetensors pillow numpy
    python make.py

Writes, beside this file, buckets.json (relative position buckets, every shape of SHAPES, -300 to 300) and
for each case a folder with `checkpoint/`, `golden.safetensors` (image_embeds, query_output, projected,
encoder_hidden_states.{run}, logits.{run}) and `golden.json` (runs with their greedy ids, the smallest margin between the
best and the second score of their steps, and texts with their ids). See ../reference.py.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import Blip2ForConditionalGeneration, T5Tokenizer
from transformers.models.t5.modeling_t5 import T5Attention

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import reference  # noqa: E402
from reference import CORPUS, QUESTIONS  # noqa: E402

LEGACY = "language_model.decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
SHARED = "language_model.shared.weight"
HEAD = "language_model.lm_head.weight"

CASES = {
    # Laid out as the published files are, 224 px, 32 queries: fields that equal the class defaults left
    # out, gated-gelu with dense_act_fn gelu, a head of its own, the stray table of old files, no aliases
    # of the embedding. The end token is 1.
    "published": dict(
        seed=2, dtype=torch.float32, queries=32, published=True, untied=True,
        vision=dict(image_size=224, patch_size=14, hidden_size=22, num_attention_heads=2,
                    num_hidden_layers=2, intermediate_size=37),
        qformer=dict(hidden_size=20, num_attention_heads=4, num_hidden_layers=3,
                     intermediate_size=33),
        text=dict(d_model=26, d_kv=7, num_heads=3, num_layers=3, d_ff=41,
                  feed_forward_proj="gated-gelu", dense_act_fn="gelu", tie_word_embeddings=False),
    ),
    # The embedding as head, with the scaling that goes with it; gated-gelu alone, which is the tanh form;
    # BF16 in several shards; fewer decoder than encoder blocks.
    "tied": dict(
        seed=28, dtype=torch.bfloat16, queries=5, max_shard_size="60KB",
        vision=dict(image_size=98, patch_size=14, hidden_size=33, num_attention_heads=3,
                    num_hidden_layers=2, intermediate_size=48),
        qformer=dict(hidden_size=27, num_attention_heads=3, num_hidden_layers=3,
                     intermediate_size=40, cross_attention_frequency=3),
        text=dict(d_model=30, d_kv=12, num_heads=2, num_layers=3, num_decoder_layers=2, d_ff=52,
                  feed_forward_proj="gated-gelu", n_positions=96),
    ),
    # F16, relu without a gate, few buckets and a short distance, another eps. As transformers 5 writes an
    # untied model: tie_word_embeddings true, scale_decoder_outputs false. The embedding stands under its
    # aliases only.
    "aliased": dict(
        seed=1, dtype=torch.float16, queries=7, untied=True, aliased=True,
        vision=dict(image_size=60, patch_size=14, hidden_size=40, num_attention_heads=5,
                    num_hidden_layers=2, intermediate_size=48, qkv_bias=False),
        qformer=dict(hidden_size=32, num_attention_heads=2, num_hidden_layers=2,
                     intermediate_size=48, cross_attention_frequency=1),
        text=dict(d_model=32, d_kv=9, num_heads=4, num_layers=2, d_ff=48, feed_forward_proj="relu",
                  relative_attention_num_buckets=10, relative_attention_max_distance=23,
                  layer_norm_epsilon=0.01, tie_word_embeddings=True, scale_decoder_outputs=False),
    ),
    # An untied head whose hidden states are scaled all the same, and the embedding under all its names.
    "scaled": dict(
        seed=3, dtype=torch.float32, queries=4, untied=True, copies=True,
        vision=dict(image_size=28, patch_size=14, hidden_size=16, num_attention_heads=2,
                    num_hidden_layers=1, intermediate_size=24),
        qformer=dict(hidden_size=16, num_attention_heads=2, num_hidden_layers=2,
                     intermediate_size=24),
        text=dict(d_model=24, d_kv=8, num_heads=2, num_layers=2, d_ff=36,
                  feed_forward_proj="gated-relu", decoder_start_token_id=0),
    ),
}

RUNS = [
    dict(text=None, generation={}),
    dict(text="a photo of", generation=dict(max_new_tokens=9)),
    dict(text=QUESTIONS[0], generation=dict(max_new_tokens=30, repetition_penalty=1.7)),
    dict(text=QUESTIONS[1], generation=dict(max_new_tokens=24, min_new_tokens=22,
                                            no_repeat_ngram_size=2)),
    dict(text=None, generation=dict(max_new_tokens=40, min_new_tokens=35, repetition_penalty=1.3,
                                    no_repeat_ngram_size=3)),
    dict(text=QUESTIONS[1], generation=dict(max_new_tokens=3)),
    dict(text=" ".join([*CORPUS, *CORPUS[:2]]), generation=dict(max_new_tokens=20)),
]

TEXTS = [
    "", " ", "a", "the dog", "  two   cats ", "a\tphoto\nof", "caf\u00e9 \u2603 dog", "dog</s>cat", "a<pad>b",
    "<extra_id_0> dog", "\u2581dog", "Dog DOG", "zzz", "question:what?", "\u65e5\u672c\u8a9e dog \U0001f600\U0001f600", *CORPUS,
]

SHAPES = [(32, 128), (10, 23), (4, 3), (64, 256), (7, 20), (16, 2048)]


def tokenizer() -> T5Tokenizer:
    """Unigram as T5's: pad 0, </s> 1 (appended), unknown 2, pieces that begin with the space sign, then
    <extra_id_*> backwards; the processor adds <image> after them."""
    words = sorted({"\u2581" + w for text in CORPUS for w in text.replace("?", "").replace(":", "").split()})
    parts = ["\u2581", "ing", "ion", "ture", "pic", "st", "es", "th", "wer", "an", "wh", "ma", "og", "at"]
    letters = sorted({c for text in CORPUS for c in text if c != " "} | set("abcdefghijklmnopqrstuvwxyz"))
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(w, -4 - 0.13 * at) for at, w in enumerate(words)]
    pieces += [(p, -5 - 0.17 * at) for at, p in enumerate(parts)]
    pieces += [(c, -9 - 0.07 * at) for at, c in enumerate(letters)]
    pieces += [(f"<extra_id_{i}>", 0.0) for i in (1, 0)]
    return T5Tokenizer(vocab=pieces, extra_ids=2)


class T5:
    keeps_pixel_values = False

    @staticmethod
    def draw_text(name, parameter, noise):
        if "norm" in name:
            return 1 + 0.2 * noise
        if "relative_attention_bias" in name:
            return 1.2 * noise
        if "shared" in name or "lm_head" in name:
            return 0.9 * noise
        if name.endswith((".q.weight", ".k.weight")):
            # Scores are not scaled by the head size: it must be in the weights.
            return 1.3 * noise / parameter.shape[1] ** 0.5 / (parameter.shape[0] ** 0.25)
        return (3.0 if ".wo." in name or ".o." in name else 1.3) * noise / parameter.shape[1] ** 0.5

    @classmethod
    def write_checkpoint(cls, case: dict, tok, processor, folder: Path) -> None:
        text = dict(model_type="t5", vocab_size=len(tok) + 6, pad_token_id=0, bos_token_id=1,
                    eos_token_id=1, decoder_start_token_id=0, dropout_rate=0.0) | case["text"]
        config = reference.make_config(case, text, tok.convert_tokens_to_ids("<image>"))
        torch.manual_seed(case["seed"])
        model = Blip2ForConditionalGeneration(config).eval()
        if case.get("untied"):
            head = model.language_model.lm_head
            head.weight = torch.nn.Parameter(head.weight.detach().clone())
        reference.draw(model, case["seed"], cls.draw_text)
        reference.save(model, processor, case, folder)
        cls.restore_fields(folder, case["text"])
        if case.get("published"):
            kept = ("model_type", "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads",
                    "feed_forward_proj", "dense_act_fn", "tie_word_embeddings", "bos_token_id",
                    "eos_token_id", "decoder_start_token_id")
            reference.publish(folder, kept)
            legacy = torch.randn(32, text["num_heads"])
            reference.edit_tensors(folder, lambda t: t | {LEGACY: legacy})
        if case.get("aliased") or case.get("copies"):
            aliases = [SHARED.replace("shared", f"{side}.embed_tokens") for side in ("encoder", "decoder")]

            def rename(tensors):
                table = tensors[SHARED] if case.get("copies") else tensors.pop(SHARED)
                return tensors | {alias: table.clone() for alias in aliases}

            reference.edit_tensors(folder, rename)

    @staticmethod
    def restore_fields(folder: Path, text: dict) -> None:
        """transformers 5 writes fields that it derives; published files have those they were given."""
        derived = ("tie_word_embeddings", "scale_decoder_outputs", "dense_act_fn", "is_gated_act")

        def change(config):
            for field in derived:
                config["text_config"].pop(field, None)
                if field in text:
                    config["text_config"][field] = text[field]
            return config

        reference.edit_json(folder / "config.json", change)

    @staticmethod
    def end_at(model, folder: Path, end: int):
        """Where the head is its own, 1 stays the end token and takes the place that `end` had."""
        files = list(folder.glob("*.safetensors"))
        if files == [folder / "model.safetensors"] and (head := reference.load_file(files[0]).get(HEAD)) is not None:
            head[[1, end]] = head[[end, 1]]
            reference.edit_tensors(folder, lambda t: t | {HEAD: head})
        else:
            def change(config):
                config["text_config"]["eos_token_id"] = end
                return config

            reference.edit_json(folder / "config.json", change)
        return reference.load(folder)

    @staticmethod
    def answer_start(model, prompt_length: int) -> int:
        return 1  # the decoder's start token

    @staticmethod
    def first_step(model, inputs: dict):
        start = torch.tensor([[model.config.text_config.decoder_start_token_id]])
        out = model(**inputs, decoder_input_ids=start)
        encoded = out.language_model_outputs.encoder_last_hidden_state
        return dict(logits=out.logits[:, -1], encoder_hidden_states=encoded)

    @staticmethod
    def more(processor) -> dict:
        tok = processor.tokenizer
        texts = [dict(text=t, ids=tok(t)["input_ids"]) for t in TEXTS]
        for each in texts:
            each["decoded"] = tok.decode(each["ids"], skip_special_tokens=True)
        return dict(texts=texts)


def buckets() -> list[dict]:
    places = torch.arange(-300, 301)
    return [
        dict(buckets=count, max_distance=distance, bidirectional=both,
             table=T5Attention._relative_position_bucket(places, both, count, distance).tolist())
        for count, distance in SHAPES for both in (True, False)
    ]


if __name__ == "__main__":
    (HERE / "buckets.json").write_text(json.dumps(buckets()) + "\n")
    reference.make_all(T5, HERE, CASES, RUNS, tokenizer())
