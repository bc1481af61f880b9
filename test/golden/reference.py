"""What the golden makers of the families share: the picture, the two towers' weights, how a case is run
with transformers and written down.

A family gives a class of its own: `draw_text(name, parameter, noise)` weights of its language model,
`first_step(model, inputs)` the scores of the first new token and what else the step gives, `answer_start(model, prompt length)`
where the generated ids begin, `write_checkpoint`, `end_at` the end token, `more` for golden.json. Weights are drawn so that attention and scores are far from flat; a run
whose margin between the best and the second score of a step is below 1e-4 stops the script, since no
two implementations need agree on it: then change the seed.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

HERE = Path(__file__).parent
MIN_MARGIN = 1e-4
QUESTIONS = ["Question: what is in the picture? Answer:", "Question: how many? Answer:"]
CORPUS = ["a photo of a dog on the beach", "a picture of two cats in the picture", *QUESTIONS]

def picture() -> Image.Image:
    """161 x 97: gradients, a disc, bars; every channel different."""
    y, x = np.mgrid[0:97, 0:161].astype(np.float64)
    red = 127 + 120 * np.sin(x / 9) * np.cos(y / 14)
    green = x * 255 / 160 * (((x - 110) ** 2 + (y - 40) ** 2) > 900)
    blue = np.where((y // 8) % 2 == 0, 255 - y * 2, 40 + x / 2)
    return Image.fromarray(np.stack([red, green, blue], -1).clip(0, 255).astype(np.uint8))


def draw(model: torch.nn.Module, seed: int, draw_text) -> None:
    """Lively weights: sharp attention, biases that count, embeddings that spread the scores."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            value = draw_text(name, parameter, noise) if name.startswith("language_model.") else None
            if value is not None:
                pass
            elif "norm" in name.lower() and name.endswith("weight"):
                value = 1 + 0.2 * noise
            elif name.endswith("bias"):
                value = 0.2 * noise
            elif "embed" in name or name == "query_tokens":
                value = 0.5 * noise if "patch_embedding" not in name else 0.04 * noise
            else:
                gain = 2.2 if any(k in name for k in ("q_proj", "k_proj", "query", "key", "qkv")) else 1.3
                value = gain * noise / parameter.shape[-1] ** 0.5
            parameter.copy_(value)


def make_config(case: dict, text: dict, image_token: int, **extra) -> Blip2Config:
    config = Blip2Config(
        vision_config=case["vision"],
        qformer_config=dict(encoder_hidden_size=case["vision"]["hidden_size"], vocab_size=50,
                            max_position_embeddings=16, **case["qformer"]),
        text_config=text, num_query_tokens=case["queries"], image_token_index=image_token,
        image_text_hidden_size=8, **extra,
    )
    config._attn_implementation = "eager"
    return config


def make_processor(case: dict, tok) -> Blip2Processor:
    size = case["vision"]["image_size"]
    return Blip2Processor(
        image_processor=BlipImageProcessorPil(size=dict(height=size, width=size)),
        tokenizer=tok, num_query_tokens=case["queries"],
    )


def save(model, processor, case: dict, folder: Path) -> None:
    """What is compared is what stands in the files: rounded once here, computed in float32 later."""
    shards = {"max_shard_size": case["max_shard_size"]} if "max_shard_size" in case else {}
    model.to(case["dtype"]).save_pretrained(folder, **shards)
    processor.save_pretrained(folder)
    for junk in ("generation_config.json", "chat_template.jinja"):
        (folder / junk).unlink(missing_ok=True)


def load(folder: Path) -> Blip2ForConditionalGeneration:
    return Blip2ForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()


def edit_json(path: Path, change) -> None:
    """`change` gives the file's new content for its old one."""
    path.write_text(json.dumps(change(json.loads(path.read_text())), indent=2) + "\n")


def edit_tensors(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def publish(folder: Path, text_fields: tuple[str, ...]) -> None:
    """The layout of the published repositories: defaults omitted, preprocessor values apart, and the
    stray buffer that old versions saved."""
    keep = dict(
        vision_config=("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
        qformer_config=("hidden_size", "intermediate_size", "num_hidden_layers",
                        "num_attention_heads", "encoder_hidden_size"),
        text_config=text_fields,
    )

    def slim(config):
        parts = {part: {k: config[part][k] for k in names} for part, names in keep.items()}
        return parts | {k: config[k] for k in ("architectures", "model_type", "image_token_index")}

    edit_json(folder / "config.json", slim)
    path = folder / "processor_config.json"
    processor = json.loads(path.read_text())
    image = processor.pop("image_processor")
    image["image_processor_type"] = "BlipImageProcessor"
    (folder / "preprocessor_config.json").write_text(json.dumps(image, indent=2) + "\n")
    path.write_text(json.dumps(processor, indent=2) + "\n")
    edit_tensors(folder, lambda t: t | {"qformer.embeddings.position_ids": torch.arange(16)[None]})


def set_end_token(model, end: int) -> None:
    model.config.text_config.eos_token_id = end
    model.language_model.config.eos_token_id = end
    model.language_model.generation_config.eos_token_id = end
    model.generation_config.eos_token_id = end


def prompt_ids(model, processor, text):
    config = model.config
    if text is None:
        ids = [config.image_token_index] * config.num_query_tokens + [config.text_config.bos_token_id]
        return torch.tensor([ids])
    return processor(text=text, images=picture(), return_tensors="pt")["input_ids"]


@torch.no_grad()
def run(family, model, processor, pixel_values, spec: dict) -> dict:
    ids = prompt_ids(model, processor, spec["text"])
    out = model.generate(
        pixel_values=pixel_values, input_ids=ids, attention_mask=torch.ones_like(ids),
        do_sample=False, output_scores=True, return_dict_in_generate=True, **spec["generation"],
    )
    new = out.sequences[0, family.answer_start(model, ids.shape[1]):].tolist()
    margins = [float(s[0].topk(2).values.diff().abs()) for s in out.scores]
    if min(margins) < MIN_MARGIN:
        raise SystemExit(f"margin {min(margins)}: choose another seed")
    return dict(
        text=spec["text"], generation=spec["generation"],
        text_ids=ids[0, model.config.num_query_tokens:].tolist(), token_ids=new,
        decoded=processor.decode(new, skip_special_tokens=True),
        min_margin=round(min(margins), 6),
    )


def find_end(free: list[int]) -> int:
    """Some sequences should end before their limit: the end token is one that the caption comes to."""
    return next(t for at, t in enumerate(free) if at >= 6 and t > 2 and t not in free[:at])


@torch.no_grad()
def make(family, target: Path, case: dict, runs: list[dict], tok) -> None:
    shutil.rmtree(target, ignore_errors=True)
    folder = target / "checkpoint"
    folder.mkdir(parents=True)
    processor = make_processor(case, tok)
    family.write_checkpoint(case, tok, processor, folder)
    model = load(folder)
    pixel_values = processor.image_processor(picture(), return_tensors="pt")["pixel_values"]
    set_end_token(model, -1)
    free = run(family, model, processor, pixel_values, dict(text=None, generation={}))["token_ids"]
    model = family.end_at(model, folder, find_end(free))

    # The same for every family and large, so one family's goldens keep it.
    tensors = dict(pixel_values=pixel_values) if family.keeps_pixel_values else {}
    tensors["image_embeds"] = model.vision_model(pixel_values).last_hidden_state
    tensors["query_output"] = model.qformer(
        query_embeds=model.query_tokens, encoder_hidden_states=tensors["image_embeds"]
    ).last_hidden_state
    tensors["projected"] = model.language_projection(tensors["query_output"])
    done = []
    for at, spec in enumerate(runs):
        done.append(run(family, model, processor, pixel_values, spec))
        ids = prompt_ids(model, processor, spec["text"])
        inputs = dict(pixel_values=pixel_values, input_ids=ids, attention_mask=torch.ones_like(ids))
        tensors |= {f"{name}.{at}": value for name, value in family.first_step(model, inputs).items()}
    save_file({k: v.contiguous() for k, v in tensors.items()}, target / "golden.safetensors")
    golden = dict(runs=done) | family.more(processor)
    (target / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    end = model.config.text_config.eos_token_id
    print(target.name, "end", end, [(len(r["token_ids"]), len(set(r["token_ids"])), r["min_margin"]) for r in done])
    print("   ", {k: round(float(v.std()), 2) for k, v in tensors.items()})


def make_all(family, folder: Path, cases: dict, runs: list[dict], tok) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    picture().save(HERE / "picture.png", optimize=True)
    for name, case in cases.items():
        make(family, folder / name, case, runs, tok)
