"""Makes the goldens of the OPT family: tiny random checkpoints in the published layout, and what
transformers computes with them.

    pip install torch transformers==5.18.0 tokenizers safetensors pillow numpy
    python make.py

Writes, beside this file, for each case a folder with `checkpoint/`, `golden.safetensors` (pixel_values,
image_embeds, query_output, projected, logits.{run}) and `golden.json` (runs with their greedy ids and the
smallest margin between the best and the second score of their steps). See ../reference.py;
../make_search.py adds searches.json.
"""

import sys
from pathlib import Path

import make_search
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import Blip2ForConditionalGeneration, PreTrainedTokenizerFast

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import reference  # noqa: E402
from reference import CORPUS, QUESTIONS  # noqa: E402

CASES = {
    # Odd head sizes everywhere, 224 px, 32 queries. Laid out as the published files are: fields that
    # equal the class defaults left out, a preprocessor_config.json of its own.
    "published": dict(
        seed=11, dtype=torch.float32, queries=32, published=True,
        vision=dict(image_size=224, patch_size=14, hidden_size=22, num_attention_heads=2,
                    num_hidden_layers=2, intermediate_size=37),
        qformer=dict(hidden_size=20, num_attention_heads=4, num_hidden_layers=3,
                     intermediate_size=33),
        text=dict(hidden_size=28, num_attention_heads=4, num_hidden_layers=3, ffn_dim=45,
                  max_position_embeddings=128),
    ),
    # Another image size, 5 queries, BF16 in several shards, preprocessor values in
    # processor_config.json alone.
    "sharded": dict(
        seed=42, dtype=torch.bfloat16, queries=5, max_shard_size="60KB",
        vision=dict(image_size=98, patch_size=14, hidden_size=33, num_attention_heads=3,
                    num_hidden_layers=3, intermediate_size=64),
        qformer=dict(hidden_size=27, num_attention_heads=3, num_hidden_layers=5,
                     intermediate_size=50, cross_attention_frequency=3),
        text=dict(hidden_size=52, num_attention_heads=4, num_hidden_layers=2, ffn_dim=96,
                  max_position_embeddings=96),
    ),
    # F16, an image that is no multiple of the patch, no qkv bias, an lm_head of its own, other norms.
    "untied": dict(
        seed=31, dtype=torch.float16, queries=7, untied=True,
        vision=dict(image_size=60, patch_size=14, hidden_size=40, num_attention_heads=5,
                    num_hidden_layers=2, intermediate_size=64, qkv_bias=False, layer_norm_eps=0.05),
        qformer=dict(hidden_size=32, num_attention_heads=1, num_hidden_layers=2,
                     intermediate_size=48, cross_attention_frequency=1, layer_norm_eps=0.02),
        text=dict(hidden_size=48, num_attention_heads=16, num_hidden_layers=2, ffn_dim=64,
                  max_position_embeddings=80),
    ),
}

RUNS = [
    dict(text=None, generation={}),
    dict(text="a photo of", generation=dict(max_new_tokens=9)),
    dict(text=QUESTIONS[0], generation=dict(max_new_tokens=12, repetition_penalty=1.7)),
    dict(text=QUESTIONS[1], generation=dict(max_new_tokens=16, min_new_tokens=14,
                                            no_repeat_ngram_size=2)),
    dict(text=None, generation=dict(max_new_tokens=14, min_new_tokens=11)),
    dict(text=QUESTIONS[1], generation=dict(max_new_tokens=3)),
]


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE as OPT's: </s> first, pad 1, <image> added last."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        CORPUS * 3,
        trainers.BpeTrainer(
            vocab_size=330,
            special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made.add_special_tokens([AddedToken("<image>", normalized=False, special=True)])
    made.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="</s>", eos_token="</s>", pad_token="<pad>",
        unk_token="<unk>", padding_side="left",
    )


class Opt:
    keeps_pixel_values = True

    @staticmethod
    def draw_text(name, parameter, noise):
        if "norm" not in name and ("lm_head" in name or "embed_tokens" in name):
            return 0.7 * noise
        return None

    @classmethod
    def write_checkpoint(cls, case: dict, tok, processor, folder: Path) -> None:
        text = dict(model_type="opt", vocab_size=len(tok) + 5,
                    word_embed_proj_dim=case["text"]["hidden_size"],
                    pad_token_id=1, bos_token_id=2, eos_token_id=2, dropout=0.0, **case["text"])
        tied = not case.get("untied", False)
        if not tied:
            text["tie_word_embeddings"] = False
        image_token = tok.convert_tokens_to_ids("<image>")
        config = reference.make_config(case, text, image_token, tie_word_embeddings=tied)
        torch.manual_seed(case["seed"])
        model = Blip2ForConditionalGeneration(config).eval()
        reference.draw(model, case["seed"], cls.draw_text)
        if tied:
            model.tie_weights()
        reference.save(model, processor, case, folder)
        if case.get("published"):
            reference.publish(folder, (
                "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "ffn_dim",
                "num_attention_heads", "max_position_embeddings", "word_embed_proj_dim", "eos_token_id",
            ))

    @staticmethod
    def end_at(model, folder: Path, end: int):
        def change(config):
            config["text_config"]["eos_token_id"] = end
            return config

        reference.edit_json(folder / "config.json", change)
        return reference.load(folder)

    @staticmethod
    def answer_start(model, prompt_length: int) -> int:
        return prompt_length

    @staticmethod
    def first_step(model, inputs: dict):
        return dict(logits=model(**inputs).logits[:, -1])


if __name__ == "__main__":
    reference.make_all(Opt, HERE, CASES, RUNS, tokenizer())
