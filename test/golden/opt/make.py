"""Makes the goldens of the OPT family: tiny random checkpoints in the published layout, and what
transformers computes with them.

    pip install torch transformers==5.18.0 tokenizers safetensors pillow numpy
    python make.py

Writes, beside this file, picture.png and for each case a folder with `checkpoint/`, `golden.safetensors`
(pixel_values, image_embeds, query_output, projected, logits.{run}) and `golden.json` (runs with their
greedy ids and the smallest margin between the best and the second score of their steps). The weights are
drawn so that attention and scores are far from flat; a run whose margin is below 1e-4 stops the script,
since no two implementations need agree on it: then change the seed. make_search.py adds searches.json.
"""

import json
import shutil
from pathlib import Path

import make_search
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    PreTrainedTokenizerFast,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

HERE = Path(__file__).parent
MIN_MARGIN = 1e-4
QUESTIONS = ["Question: what is in the picture? Answer:", "Question: how many? Answer:"]

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


def picture() -> Image.Image:
    """161 x 97: gradients, a disc, bars; every channel different."""
    y, x = np.mgrid[0:97, 0:161].astype(np.float64)
    red = 127 + 120 * np.sin(x / 9) * np.cos(y / 14)
    green = x * 255 / 160 * (((x - 110) ** 2 + (y - 40) ** 2) > 900)
    blue = np.where((y // 8) % 2 == 0, 255 - y * 2, 40 + x / 2)
    return Image.fromarray(np.stack([red, green, blue], -1).clip(0, 255).astype(np.uint8))


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE as OPT's: </s> first, pad 1, <image> added last."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        ["a photo of a dog on the beach", "a picture of two cats in the picture", *QUESTIONS] * 3,
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


def draw(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Lively weights: sharp attention, biases that count, embeddings that spread the scores."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                value = 1 + 0.2 * noise
            elif name.endswith("bias"):
                value = 0.2 * noise
            elif "lm_head" in name or "embed_tokens" in name:
                value = 0.7 * noise
            elif "embed" in name or name == "query_tokens":
                value = 0.5 * noise if "patch_embedding" not in name else 0.04 * noise
            else:
                gain = 2.2 if any(k in name for k in ("q_proj", "k_proj", "query", "key", "qkv")) else 1.3
                value = gain * noise / parameter.shape[-1] ** 0.5
            parameter.copy_(value)


def build(case: dict, tok: PreTrainedTokenizerFast, folder: Path):
    image_token = tok.convert_tokens_to_ids("<image>")
    text = dict(model_type="opt", vocab_size=len(tok) + 5, word_embed_proj_dim=case["text"]["hidden_size"],
                pad_token_id=1, bos_token_id=2, eos_token_id=2, dropout=0.0, **case["text"])
    tied = not case.get("untied", False)
    if not tied:
        text["tie_word_embeddings"] = False
    config = Blip2Config(
        vision_config=case["vision"],
        qformer_config=dict(encoder_hidden_size=case["vision"]["hidden_size"], vocab_size=50,
                            max_position_embeddings=16, **case["qformer"]),
        text_config=text, num_query_tokens=case["queries"], image_token_index=image_token,
        image_text_hidden_size=8, tie_word_embeddings=tied,
    )
    config._attn_implementation = "eager"
    torch.manual_seed(case["seed"])
    model = Blip2ForConditionalGeneration(config).eval()
    draw(model, torch.Generator().manual_seed(case["seed"]))
    if tied:
        model.tie_weights()
    # What is compared is what stands in the files: round once, compute in float32.
    model = model.to(case["dtype"])
    size = case["vision"]["image_size"]
    processor = Blip2Processor(
        image_processor=BlipImageProcessorPil(size=dict(height=size, width=size)),
        tokenizer=tok, num_query_tokens=case["queries"],
    )
    shards = {"max_shard_size": case["max_shard_size"]} if "max_shard_size" in case else {}
    model.save_pretrained(folder, **shards)
    processor.save_pretrained(folder)
    model = Blip2ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    return model, processor


def set_end_token(model, folder: Path, end: int) -> None:
    model.config.text_config.eos_token_id = end
    model.language_model.config.eos_token_id = end
    model.language_model.generation_config.eos_token_id = end
    model.generation_config.eos_token_id = end
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["text_config"]["eos_token_id"] = end
    path.write_text(json.dumps(config, indent=2) + "\n")


def publish(folder: Path) -> None:
    """The layout of the published repositories: defaults omitted, preprocessor values apart, and the
    stray buffer that old versions saved."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    keep = dict(
        vision_config=("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
        qformer_config=("hidden_size", "intermediate_size", "num_hidden_layers",
                        "num_attention_heads", "encoder_hidden_size"),
        text_config=("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "ffn_dim",
                     "num_attention_heads", "max_position_embeddings", "word_embed_proj_dim",
                     "eos_token_id"),
    )
    slim = {part: {k: config[part][k] for k in names} for part, names in keep.items()}
    slim |= {k: config[k] for k in ("architectures", "model_type", "image_token_index")}
    path.write_text(json.dumps(slim, indent=2) + "\n")
    path = folder / "processor_config.json"
    processor = json.loads(path.read_text())
    image = processor.pop("image_processor")
    image["image_processor_type"] = "BlipImageProcessor"
    (folder / "preprocessor_config.json").write_text(json.dumps(image, indent=2) + "\n")
    path.write_text(json.dumps(processor, indent=2) + "\n")
    weights = folder / "model.safetensors"
    tensors = load_file(weights) | {"qformer.embeddings.position_ids": torch.arange(16)[None]}
    save_file(tensors, weights, metadata={"format": "pt"})


def prompt_ids(model, processor, text):
    config = model.config
    if text is None:
        ids = [config.image_token_index] * config.num_query_tokens + [config.text_config.bos_token_id]
        return torch.tensor([ids])
    return processor(text=text, images=picture(), return_tensors="pt")["input_ids"]


@torch.no_grad()
def run(model, processor, pixel_values, spec: dict) -> dict:
    ids = prompt_ids(model, processor, spec["text"])
    out = model.generate(
        pixel_values=pixel_values, input_ids=ids, attention_mask=torch.ones_like(ids),
        do_sample=False, output_scores=True, return_dict_in_generate=True, **spec["generation"],
    )
    new = out.sequences[0, ids.shape[1]:].tolist()
    margins = [float(s[0].topk(2).values.diff().abs()) for s in out.scores]
    if min(margins) < MIN_MARGIN:
        raise SystemExit(f"margin {min(margins)}: choose another seed")
    return dict(
        text=spec["text"], generation=spec["generation"],
        text_ids=ids[0, model.config.num_query_tokens:].tolist(), token_ids=new,
        decoded=processor.decode(new, skip_special_tokens=True),
        min_margin=round(min(margins), 6),
    )


@torch.no_grad()
def make(name: str, case: dict, tok: PreTrainedTokenizerFast) -> None:
    target = HERE / name
    shutil.rmtree(target, ignore_errors=True)
    folder = target / "checkpoint"
    folder.mkdir(parents=True)
    model, processor = build(case, tok, folder)
    pixel_values = processor.image_processor(picture(), return_tensors="pt")["pixel_values"]
    # Some sequences should end before their limit: the end token is one that the caption comes to.
    set_end_token(model, folder, -1)
    free = run(model, processor, pixel_values, dict(text=None, generation={}))["token_ids"]
    end = next(t for at, t in enumerate(free) if at >= 6 and t not in free[:at])
    set_end_token(model, folder, end)

    tensors = dict(pixel_values=pixel_values)
    tensors["image_embeds"] = model.vision_model(pixel_values).last_hidden_state
    tensors["query_output"] = model.qformer(
        query_embeds=model.query_tokens, encoder_hidden_states=tensors["image_embeds"]
    ).last_hidden_state
    tensors["projected"] = model.language_projection(tensors["query_output"])
    runs = []
    for at, spec in enumerate(RUNS):
        runs.append(run(model, processor, pixel_values, spec))
        ids = prompt_ids(model, processor, spec["text"])
        logits = model(pixel_values=pixel_values, input_ids=ids, attention_mask=torch.ones_like(ids))
        tensors[f"logits.{at}"] = logits.logits[:, -1]
    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
    (target / "golden.json").write_text(json.dumps(dict(runs=runs), indent=1) + "\n")
    if case.get("published"):
        publish(folder)
    for junk in ("generation_config.json", "chat_template.jinja"):
        (folder / junk).unlink(missing_ok=True)
    print(name, "end", end, [(len(r["token_ids"]), len(set(r["token_ids"])), r["min_margin"]) for r in runs])
    print("   ", {k: round(float(v.std()), 2) for k, v in tensors.items()})


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    picture().save(HERE / "picture.png", optimize=True)
    tok = tokenizer()
    for name, case in CASES.items():
        make(name, case, tok)
    make_search.main()


if __name__ == "__main__":
    main()
