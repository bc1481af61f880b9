"""transformers' own BLIP-2, with a forward pass of its own that keeps what the losses look at.

Training sees 112-pixel pictures through 14-pixel patches; the exported model sees 224 through 28. The two are the
same function of a doubled picture: the exported kernel is the trained one, each weight repeated 2 x 2 and divided
by 4. The weights live in transformers' modules, so save_pretrained writes exactly the published layout.
"""

import copy
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import Blip2ForConditionalGeneration

from scene_stream import SLOTS

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])
TRAIN_PATCH = 14


def fold_kernel(kernel):
    """[out, 3, 28, 28] -> [out, 3, 14, 14], exact for pictures whose pixels are doubled."""
    out, channels, side, _ = kernel.shape
    return kernel.reshape(out, channels, side // 2, 2, side // 2, 2).sum((3, 5))


def unfold_kernel(kernel):
    """[out, 3, 14, 14] -> [out, 3, 28, 28]: the average of each 2 x 2 pixels takes the weight."""
    return kernel.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4


def load(folder):
    """The checkpoint in float32 with its patch kernel folded for training."""
    model = Blip2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    embedding = model.vision_model.embeddings.patch_embedding
    if embedding.weight.shape[-1] != TRAIN_PATCH:
        embedding.weight = nn.Parameter(fold_kernel(embedding.weight.data).contiguous())
    return model


@dataclass
class Seen:
    """What one pass leaves for the losses. B pictures, T = 16 + packed text."""

    patches: torch.Tensor  # [B, 64, 192] the ViT's output without its class token
    slots: torch.Tensor  # [B, 16, 192] the Q-Former's output
    cross: list[torch.Tensor]  # [B, heads, 16, 65] per cross-attention layer
    own: list[torch.Tensor]  # [B, heads, 16, 16] per self-attention layer
    words: list[torch.Tensor]  # [B, heads, T, T] attention of the first OPT layers
    hidden: torch.Tensor  # [B, T, 192] after OPT's last norm


def see(model, rgb):
    """uint8 [B, 112, 112, 3] -> ViT output [B, 65, 192]"""
    vision = model.vision_model
    kernel = vision.embeddings.patch_embedding
    b, side = rgb.shape[0], rgb.shape[1]
    n = side // TRAIN_PATCH
    # Normalisation folded into one affine step; the patches as rows make the convolution one matrix product.
    pixels = (rgb.float() / 255 - MEAN.to(rgb.device)) / STD.to(rgb.device)
    rows = pixels.view(b, n, TRAIN_PATCH, n, TRAIN_PATCH, 3).permute(0, 1, 3, 5, 2, 4).reshape(b, n * n, -1)
    x = nn.functional.linear(rows, kernel.weight.flatten(1), kernel.bias)
    x = torch.cat([vision.embeddings.class_embedding.expand(b, 1, -1).to(x.dtype), x], 1)
    x = x.float() + vision.embeddings.position_embedding
    for layer in vision.encoder.layers:
        x = layer(x)
    return vision.post_layernorm(x)


def look(model, image):
    """Q-Former over the ViT's output -> slots, cross-attentions, self-attentions"""
    qformer = model.qformer
    h = qformer.layernorm(model.query_tokens).expand(image.shape[0], -1, -1)
    cross, own = [], []
    for layer in qformer.encoder.layer:
        a, weights = layer.attention.attention(h)
        own.append(weights)
        h = layer.attention.output(a, h)
        if layer.has_cross_attention:
            a, weights = layer.crossattention.attention(h, encoder_hidden_states=image)
            cross.append(weights)
            h = layer.crossattention.output(a, h)
        h = layer.feed_forward_chunk_query(h)
    return h, cross, own


def read(model, slots, ids, position, segment):
    """OPT over [picture][caption][question]...: every text sees the picture and itself."""
    decoder = model.language_model.model.decoder
    b = ids.shape[0]
    picture = torch.arange(SLOTS, device=ids.device).expand(b, -1)
    position = torch.cat([picture, position], 1)
    segment = torch.cat([torch.zeros_like(picture), segment], 1)
    x = torch.cat([model.language_projection(slots).float(), decoder.embed_tokens(ids)], 1)
    x = x + nn.functional.embedding(position + decoder.embed_positions.offset, decoder.embed_positions.weight)
    sees = (position[:, None, :] <= position[:, :, None]) & (
        (segment[:, None, :] == 0) | (segment[:, None, :] == segment[:, :, None])
    )
    mask = torch.zeros(sees.shape, device=x.device).masked_fill(~sees, -1e4)[:, None]
    words = []
    for layer in decoder.layers:
        attention = layer.self_attn
        h = layer.self_attn_layer_norm(x)
        q, k, v = (
            p(h).view(b, -1, attention.num_heads, attention.head_dim).transpose(1, 2)
            for p in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        weights = ((q * attention.scaling) @ k.transpose(-1, -2) + mask).softmax(-1)
        if len(words) < 2:
            words.append(weights)
        h = (weights.to(v.dtype) @ v).transpose(1, 2).reshape(b, -1, attention.embed_dim)
        x = x + attention.out_proj(h)
        x = x + layer.fc2(layer.fc1(layer.final_layer_norm(x)).relu())
    return decoder.final_layer_norm(x), words


def forward(model, batch):
    image = see(model, batch["rgb"])
    slots, cross, own = look(model, image)
    hidden, words = read(model, slots, batch["ids"], batch["position"], batch["segment"])
    return Seen(image[:, 1:], slots, cross, own, words, hidden)


class Heads(nn.Module):
    """Readers of the intermediate states that training supervises; they are not part of the exported model."""

    def __init__(self, nouns, colours, width=192):
        super().__init__()
        self.patch_noun = nn.Linear(width, nouns + 1)
        self.patch_colour = nn.Linear(width, colours + 1)
        self.patch_centre = nn.Linear(width, 1)
        self.slot_noun = nn.Linear(width, nouns + 1)
        self.slot_colour = nn.Linear(width, colours + 1)
        self.slot_count = nn.Linear(width, 4)
        self.slot_order = nn.Linear(width, 3)
        self.patch_offset = nn.Linear(width, 2)
        self.slot_offset = nn.Linear(width, 2)
        for module in self.children():
            nn.init.normal_(module.weight, std=1 / math.sqrt(width) / 4)
            nn.init.zeros_(module.bias)


def export(model, folder, tokenizer_folder):
    out = copy.deepcopy(model)
    embedding = out.vision_model.embeddings.patch_embedding
    embedding.weight = nn.Parameter(unfold_kernel(embedding.weight.data).contiguous())
    save(out, folder, tokenizer_folder)


def load_exact(folder):
    """The generation checkpoint as it lies on disk."""
    return Blip2ForConditionalGeneration.from_pretrained(folder, dtype=torch.float16)


def save(model, folder, tokenizer_folder, shard="11MB"):
    """save_pretrained in half precision, in shards, with the tokenizer and the processor's files beside it."""
    model.cpu().half().save_pretrained(folder, max_shard_size=shard)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        shutil.copyfile(Path(tokenizer_folder) / name, Path(folder) / name)
    for file in Path(folder).iterdir():  # safetensors are written for the owner's eyes only
        file.chmod(0o644)
