"""Makes the goldens of the retrieval family: tiny random checkpoints, and what transformers computes with them.

    pip install torch transformers==5.18.0 tokenizers safetensors pillow numpy
    python make.py

Writes, beside this file, for each case a folder with `checkpoint/`, `golden.safetensors` (image_embeds,
query_output, projected, vision_with_projection; for text i text_output.i, text_projected.i,
text_with_projection.i, itm_logits.i) and `golden.json` (the texts with their ids and scores, and more texts with
their ids). Each text is run alone and again in one batch padded on the right: the script stops when they differ.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertTokenizer,
    Blip2Config,
    Blip2ForImageTextRetrieval,
    Blip2Processor,
    Blip2TextModelWithProjection,
    Blip2VisionModelWithProjection,
    PreTrainedTokenizerFast,
)
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import reference  # noqa: E402
from reference import CORPUS  # noqa: E402

TEXTS = [
    "a photo of a dog on the beach",
    "two cats",
    "a",
    "Question: what is in the picture? A dog, two cats and a beach (in the picture).",
    "TWO Cafés: 3.5 x naïve",
    "a picture of a picture of a picture of two cats on the beach",
]
# What tokenizers disagree on: case, accents, symbols, white space, scripts, words too long, specials.
MORE_TEXTS = [
    "A Photo", "café CAFE\u0301", "x²+y₂ = ½", "  two   spaces ", "tab\tand\nline", "don't stop-motion", "3,000.50",
    "漢字とかな", "смотри", "ﬁne ﬂow", "🙂 smile", "a" * 120, "a [SEP] b", "[CLS]", "</s>", "\u00a0nbsp\u200b", "İstanbul",
    "Å Ångström", "…—“quotes”", "null\u0000byte", "e\u0301\u0327", "#hash_tag @at", "$5 %x &y",
]

CASES = {
    # As the published files are: BertTokenizer, no processor_config.json, no image token, class defaults left
    # out, the stray buffer of old versions, text_config of a model that is not there.
    "published": dict(
        seed=5, dtype=torch.float32, queries=32, published=True, dim=12,
        vision=dict(image_size=224, patch_size=14, hidden_size=22, num_attention_heads=2,
                    num_hidden_layers=2, intermediate_size=37),
        qformer=dict(hidden_size=20, num_attention_heads=4, num_hidden_layers=3, intermediate_size=33),
    ),
    # BF16 in several shards, odd heads and sizes, another image size, cross-attention in every third layer, a
    # byte-level tokenizer that only has a token before the text.
    "sharded": dict(
        seed=8, dtype=torch.bfloat16, queries=5, max_shard_size="40KB", dim=7, byte_level=True,
        vision=dict(image_size=98, patch_size=14, hidden_size=33, num_attention_heads=3,
                    num_hidden_layers=3, intermediate_size=64),
        qformer=dict(hidden_size=27, num_attention_heads=3, num_hidden_layers=5, intermediate_size=50,
                     cross_attention_frequency=3, max_position_embeddings=90, pad_token_id=1),
    ),
    # F16, an image token whose id is beyond the vocabulary, an image that is no multiple of the patch, no qkv
    # bias, other norms, cross-attention in every layer.
    "placeholder": dict(
        seed=3, dtype=torch.float16, queries=7, placeholder=True, dim=33,
        vision=dict(image_size=60, patch_size=14, hidden_size=40, num_attention_heads=5,
                    num_hidden_layers=2, intermediate_size=64, qkv_bias=False, layer_norm_eps=0.05),
        qformer=dict(hidden_size=32, num_attention_heads=1, num_hidden_layers=2, intermediate_size=48,
                     cross_attention_frequency=1, layer_norm_eps=0.02, max_position_embeddings=64),
    ),
}


def word_piece() -> BertTokenizer:
    """Lower-case WordPiece as BERT's; [DEC] added last, as the published have it. The vocabulary is written
    out, since training one does not give the same twice."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = sorted({word.strip(".:?") for text in CORPUS for word in text.lower().split()} - set(letters))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *".,:;?!()'-$%&#@²½漢か", *words,
              *(f"##{letter}" for letter in letters), "##ing", "##ture", "##и"]
    tok = BertTokenizer(vocab={piece: at for at, piece in enumerate(pieces)}, model_max_length=512)
    tok.add_special_tokens({"bos_token": "[DEC]"})
    return tok


def byte_level() -> PreTrainedTokenizerFast:
    """Byte-level BPE: </s> before the text, nothing after it."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        CORPUS * 3,
        trainers.BpeTrainer(
            vocab_size=300, special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        ),
    )
    made.post_processor = processors.TemplateProcessing(single="</s> $A", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="</s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
    )


def write_checkpoint(case: dict, folder: Path):
    tok = byte_level() if case.get("byte_level") else word_piece()
    vocab = len(tok)
    image_token = None
    if case.get("placeholder"):
        tok.add_tokens([AddedToken("<image>", normalized=False, special=True)], special_tokens=True)
        image_token = len(tok) - 1
    config = Blip2Config(
        vision_config=case["vision"],
        qformer_config=dict(vocab_size=vocab, use_qformer_text_input=True, **case["qformer"]),
        num_query_tokens=case["queries"], image_token_index=image_token, image_text_hidden_size=case["dim"],
    )
    config._attn_implementation = "eager"
    torch.manual_seed(case["seed"])
    model = Blip2ForImageTextRetrieval(config).eval()
    reference.draw(model, case["seed"], None)
    with torch.no_grad():
        model.itm_head.weight.mul_(0.5)  # probabilities that are neither 0 nor 1
    size = case["vision"]["image_size"]
    image_processor = BlipImageProcessorPil(size=dict(height=size, width=size))
    shards = {"max_shard_size": case["max_shard_size"]} if "max_shard_size" in case else {}
    model.to(case["dtype"]).save_pretrained(folder, **shards)
    if image_token is None:
        image_processor.save_pretrained(folder)
        tok.save_pretrained(folder)
        processor = None
    else:
        processor = Blip2Processor(image_processor, tok, num_query_tokens=case["queries"])
        processor.save_pretrained(folder)
    if case.get("published"):
        publish(folder, tok)
    if "max_shard_size" in case:
        add_legacy_buffer(folder)
    return image_processor, processor or tok, tok


def publish(folder: Path, tok) -> None:
    keep = dict(
        vision_config=("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
        qformer_config=(*CASES["published"]["qformer"], "vocab_size", "use_qformer_text_input"),
        text_config=("model_type",),
    )

    def slim(config):
        parts = {part: {k: config[part][k] for k in names} for part, names in keep.items()}
        return parts | {k: config.get(k) for k in
                        ("architectures", "model_type", "image_token_index", "image_text_hidden_size")}

    reference.edit_json(folder / "config.json", slim)
    reference.edit_tensors(folder, lambda t: t | {"embeddings.position_ids": torch.arange(512)[None]})
    words = sorted(tok.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word, at in words if at < len(words) - 1))


def add_legacy_buffer(folder: Path) -> None:
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    name = "model-extra.safetensors"
    save_file({"embeddings.position_ids": torch.arange(90)[None]}, folder / name, metadata={"format": "pt"})
    index["weight_map"]["embeddings.position_ids"] = name
    path.write_text(json.dumps(index, indent=2) + "\n")


def load(architecture, folder: Path):
    model, info = architecture.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    if info["missing_keys"]:
        raise SystemExit(f"{architecture.__name__} lacks {info['missing_keys']}")
    return model.eval()


def inputs_of(encode, tok, texts: list[str]) -> dict:
    """Ids and mask as the checkpoint's own processor makes them, padded on the right."""
    given = encode(texts) if encode is tok else encode(images=reference.picture(), text=texts)
    longest = max(map(len, given["input_ids"]))
    rows = [ids + [tok.pad_token_id] * (longest - len(ids)) for ids in given["input_ids"]]
    mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in given["input_ids"]]
    return dict(input_ids=torch.tensor(rows), attention_mask=torch.tensor(mask))


@torch.no_grad()
def scores(model, pixel_values, inputs: dict):
    count = inputs["input_ids"].shape[0]
    pixels = pixel_values.expand(count, -1, -1, -1)  # ITM wants an image per text
    itm = model(pixel_values=pixels, use_image_text_matching_head=True, **inputs).logits_per_image
    itc = model(pixel_values=pixel_values, **inputs)
    return itm, itc


@torch.no_grad()
def make(name: str, case: dict) -> None:
    target = HERE / name
    shutil.rmtree(target, ignore_errors=True)
    folder = target / "checkpoint"
    folder.mkdir(parents=True)
    image_processor, encode, tok = write_checkpoint(case, folder)
    model = load(Blip2ForImageTextRetrieval, folder)
    pixel_values = image_processor(reference.picture(), return_tensors="pt")["pixel_values"]
    vision = load(Blip2VisionModelWithProjection, folder)(pixel_values=pixel_values)
    text_model = load(Blip2TextModelWithProjection, folder)
    queries = case["queries"] if case.get("placeholder") else 0

    tensors = dict(image_embeds=model.vision_model(pixel_values).last_hidden_state,
                   vision_with_projection=vision.image_embeds)
    tensors["query_output"] = model.qformer(
        query_embeds=model.query_tokens, encoder_hidden_states=tensors["image_embeds"]
    ).last_hidden_state
    runs = []
    for at, text in enumerate(TEXTS):
        inputs = inputs_of(encode, tok, [text])
        itm, itc = scores(model, pixel_values, inputs)
        own = {key: value[:, queries:] for key, value in inputs.items()}  # of the text alone
        alone = text_model(**own)
        tensors["projected"] = itc.image_embeds
        tensors |= {
            f"text_output.{at}": alone.last_hidden_state,
            f"text_projected.{at}": itc.text_embeds,
            f"text_with_projection.{at}": alone.text_embeds[:, 0],
            f"itm_logits.{at}": itm,
        }
        runs.append(dict(text=text, ids=own["input_ids"][0].tolist(), itm=float(itm.softmax(1)[0, 1]),
                         itc=float(itc.logits_per_image[0, 0])))
    itm, itc = scores(model, pixel_values, inputs_of(encode, tok, TEXTS))
    together = torch.stack([itm.softmax(1)[:, 1], itc.logits_per_image[0]], 1)
    alone = torch.tensor([[run["itm"], run["itc"]] for run in runs])
    if not torch.allclose(together, alone, atol=2e-6):
        raise SystemExit(f"{name}: a batch differs from one at a time\n{together - alone}")

    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
    more = [dict(text=text, ids=tok(text)["input_ids"]) for text in MORE_TEXTS]
    (target / "golden.json").write_text(json.dumps(dict(runs=runs, texts=more), indent=1) + "\n")
    print(name, [(len(run["ids"]), round(run["itm"], 3), round(run["itc"], 3)) for run in runs])
    print("   ", {k: round(float(v.std()), 2) for k, v in tensors.items() if "." not in k})


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name, case in CASES.items():
        make(name, case)
