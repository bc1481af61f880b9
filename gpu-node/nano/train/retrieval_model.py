"""transformers' own BLIP-2 retrieval model, with forward passes of its own that keep what the losses look at.

The ViT is nano's and stays frozen: the exported vision tensors are nano's bit for bit, so that a node which serves
both models looks at a picture once. Only the Q-Former, its text side and the three heads learn.
"""

import copy
import json
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Blip2ForImageTextRetrieval

import model as M

MATCHING_LAYER, READING_LAYER = 1, 2  # where words look for slots, where slots look for words


def load(start, text):
    """`start`: a retrieval checkpoint to go on from, or nano; then the text side comes from the checkpoint `text`."""
    architecture = json.loads((Path(start) / "config.json").read_text())["architectures"][0]
    if architecture == "Blip2ForImageTextRetrieval":
        model = Blip2ForImageTextRetrieval.from_pretrained(start, dtype=torch.float32, attn_implementation="eager")
    else:
        model = Blip2ForImageTextRetrieval.from_pretrained(text, dtype=torch.float32, attn_implementation="eager")
        generation = M.load(start)
        model.vision_model = generation.vision_model
        model.query_tokens.data.copy_(generation.query_tokens.data)
        missing, unexpected = model.qformer.load_state_dict(generation.qformer.state_dict(), strict=False)
        # Generation checkpoints have no text side: these are the only tensors that `text` keeps in the Q-Former.
        assert not unexpected and all(".intermediate." in n or ".output.dense" in n or ".output.LayerNorm" in n for n in missing)
        nn.init.normal_(model.itm_head.weight, std=0.02)
        nn.init.zeros_(model.itm_head.bias)
    embedding = model.vision_model.embeddings.patch_embedding
    if embedding.weight.shape[-1] != M.TRAIN_PATCH:
        embedding.weight = nn.Parameter(M.fold_kernel(embedding.weight.data).contiguous())
    model.vision_model.requires_grad_(False)
    return model


class Heads(M.Heads):
    """The readers of nano's slots, and the temperature of the contrastive loss; neither is exported."""

    def __init__(self, nouns, colours):
        super().__init__(nouns, colours)
        for name in ("patch_noun", "patch_colour", "patch_centre", "patch_offset"):
            delattr(self, name)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(0.05)))


def attend(attention, x, keys, values, mask=None):
    """Multi-head attention of one BERT layer -> context [N, L, width], weights [N, heads, L, K]"""
    n, length, width = x.shape
    heads = attention.num_attention_heads
    split = lambda t: t.view(t.shape[0], -1, heads, width // heads).transpose(1, 2)
    scores = split(attention.query(x)) @ split(keys).transpose(-1, -2) / math.sqrt(width // heads)
    weights = (scores.float() if mask is None else scores.float() + mask).softmax(-1)
    context = weights.to(values.dtype) @ split(values)
    return context.transpose(1, 2).reshape(n, length, width), weights


def self_attend(layer, x, mask=None):
    attention = layer.attention.attention
    context, weights = attend(attention, x, attention.key(x), attention.value(x), mask)
    return layer.attention.output(context, x), weights


def image_keys(model, image):
    """Keys and values of every cross-attention, once per picture: [(keys, values) or None per layer]"""
    return [
        (layer.crossattention.attention.key(image), layer.crossattention.attention.value(image))
        if layer.has_cross_attention
        else None
        for layer in model.qformer.encoder.layer
    ]


def cross_attend(layer, x, keys, values):
    context, weights = attend(layer.crossattention.attention, x, keys, values)
    return layer.crossattention.output(context, x), weights


def see_slots(model, keys, images):
    """Query mode -> slots [B, 16, 192], self-attention of the last layer, cross-attentions"""
    h = model.qformer.layernorm(model.query_tokens).expand(images, -1, -1)
    crosses = []
    for layer, kv in zip(model.qformer.encoder.layer, keys):
        h, own = self_attend(layer, h)
        if kv is not None:
            h, cross = cross_attend(layer, h, *kv)
            crosses.append(cross)
        h = layer.feed_forward_chunk_query(h)
    return h, own, crosses


def read_texts(model, ids, there):
    """Text alone -> [N, L, 192]"""
    h = embed(model, ids)
    mask = blind(there)
    for layer in model.qformer.encoder.layer:
        h, _ = self_attend(layer, h, mask)
        h = layer.feed_forward_chunk(h)
    return h


def embed(model, ids):
    positions = model.embeddings.position_embeddings.weight[: ids.shape[1]]
    return model.qformer.layernorm(model.embeddings.word_embeddings(ids) + positions)


def blind(there):
    """True where a token is -> additive mask [N, 1, 1, L]"""
    return torch.zeros(there.shape).masked_fill(~there, -1e4)[:, None, None]


def compare(model, keys, which, ids, there):
    """Pairs of picture `which[n]` and text n -> logits [N, 2], attention of the two guided layers"""
    n, slots = len(which), model.query_tokens.shape[1]
    queries = model.qformer.layernorm(model.query_tokens).expand(n, -1, -1)
    h = torch.cat([queries, embed(model, ids)], 1)
    mask = blind(torch.cat([torch.ones(n, slots, dtype=torch.bool), there], 1))
    guided = {}
    for i, (layer, kv) in enumerate(zip(model.qformer.encoder.layer, keys)):
        h, guided[i] = self_attend(layer, h, mask)
        q, t = h[:, :slots], h[:, slots:]
        if kv is not None:
            q, _ = cross_attend(layer, q, kv[0][which], kv[1][which])
        h = torch.cat([layer.feed_forward_chunk_query(q), layer.feed_forward_chunk(t)], 1)
    return model.itm_head(h[:, :slots]).float().mean(1), guided[MATCHING_LAYER], guided[READING_LAYER]


def project_image(model, slots):
    return F.normalize(model.vision_projection(slots).float(), dim=-1)


def project_text(model, hidden):
    return F.normalize(model.text_projection(hidden[:, 0]).float(), dim=-1)


def export(model, folder, source, tokenizer_folder):
    """The published layout in half precision; the vision tensors are read from `source`, not written back."""
    out = copy.deepcopy(model)
    out.vision_model = M.load_exact(source).vision_model
    M.save(out, folder, tokenizer_folder)
