"""What the model is taught, beyond predicting words.

A small model does not find out by itself that a question's noun must be compared with sixteen picture tokens, nor
where an object ends and the next begins. So every stage is told: the patches what they show, the slots (query
tokens) what stands in their cell, the language model which slots hold the noun it reads. All of it trains the
model's own weights; only the small linear readers in `Heads` are thrown away.
"""

import torch
from torch.nn import functional as F

from scene_stream import PATCHES, SLOTS

CELLS = 4  # along a side
WEIGHTS = {
    "caption": 1.0,
    "answers": 1.0,
    "patch noun": 0.5,
    "patch background": 0.15,
    "patch colour": 0.25,
    "patch centre": 0.5,
    "patch offset": 0.3,
    "look at cell": 0.1,
    "slot noun": 1.5,
    "slot colour": 0.75,
    "slot count": 1.5,
    "slot order": 0.3,
    "slot offset": 0.5,
    "same noun": 0.5,
    "match present": 1.0,
    "match absent": 1.0,
    "match words": 1.0,
}


def targets_of(batch, nouns, colours):
    """Labels for patches and slots from the objects' places; -100 where there is nothing to say."""
    objects, background = batch["objects"], batch["background"]
    noun, colour, x, y, size, group = objects.unbind(-1)
    there = noun >= 0
    b = objects.shape[0]
    noun = torch.where(there, noun, torch.full_like(noun, nouns)).long()
    colour = torch.where(colour >= 0, colour, torch.full_like(colour, colours)).long()  # the last: its own colours

    middle = (torch.arange(PATCHES) + 0.5) / PATCHES
    py, px = torch.meshgrid(middle, middle, indexing="ij")
    distance = torch.hypot(px.reshape(1, -1, 1) - x[:, None], py.reshape(1, -1, 1) - y[:, None])
    distance = torch.where(there[:, None], distance / (0.42 * size[:, None]).clamp(min=1e-3), torch.inf)
    nearest, which = distance.min(-1)  # [B, 64]
    covered = nearest < 1
    patch_noun = torch.where(covered, noun.gather(1, which), torch.full_like(which, nouns))
    patch_colour = torch.where(covered, colour.gather(1, which), background[:, None].expand_as(which))

    # Where the centre of the object lies, in patches from the patch's own middle.
    across, down = x.gather(1, which) - px.reshape(1, -1), y.gather(1, which) - py.reshape(1, -1)
    patch_offset = torch.stack([across, down], -1) * PATCHES

    rows = torch.arange(b)[:, None].expand_as(noun)[there]
    patch = (y * PATCHES).long().clamp(0, PATCHES - 1) * PATCHES + (x * PATCHES).long().clamp(0, PATCHES - 1)
    centre = torch.zeros(b, PATCHES * PATCHES)
    centre[rows, patch[there]] = 1

    cell = ((y * CELLS).long().clamp(0, CELLS - 1) * CELLS + (x * CELLS).long().clamp(0, CELLS - 1))[there]
    same = (noun[:, :, None] == noun[:, None, :]) & there[:, None, :] & there[:, :, None]
    slot_noun = torch.full((b, SLOTS), nouns)
    slot_colour = torch.full((b, SLOTS), -100)
    slot_count = torch.full((b, SLOTS), -100)
    slot_order = torch.full((b, SLOTS), -100)
    slot_noun[rows, cell] = noun[there]
    slot_colour[rows, cell] = colour[there]
    slot_count[rows, cell] = same.sum(-1)[there] - 1
    slot_order[rows, cell] = group.long()[there]
    slot_offset = torch.zeros(b, SLOTS, 2)
    slot_offset[rows, cell] = (torch.stack([x, y], -1) * CELLS % 1 - 0.5)[there]
    return {
        "patch_noun": patch_noun,
        "patch_colour": patch_colour,
        "covered": covered,
        "centre": centre,
        "patch_offset": patch_offset,
        "slot_noun": slot_noun,
        "slot_colour": slot_colour,
        "slot_count": slot_count,
        "slot_order": slot_order,
        "slot_offset": slot_offset,
    }


def cell_of_patch():
    """[16, 64]: true where the patch lies in the slot's cell."""
    at = torch.arange(PATCHES * PATCHES)
    cell = (at // PATCHES // 2) * CELLS + (at % PATCHES) // 2
    return cell[None] == torch.arange(SLOTS)[:, None]


def log_share(attention, wanted):
    """-log of the attention that falls on `wanted`."""
    return -(attention.float() * wanted).sum(-1).clamp(min=1e-6).log()


def spread(attention, wanted):
    """Cross entropy of an attention row with the uniform distribution over `wanted`."""
    share = wanted / wanted.sum(-1, keepdim=True).clamp(min=1)
    return -(share * attention.float().clamp(min=1e-6).log()).sum(-1)


def language(model, seen, batch):
    """Mean caption loss, mean answer loss."""
    b, at, token, caption = batch["targets"].unbind(-1)
    hidden = seen.hidden[b, at + SLOTS]
    logits = F.linear(hidden, model.language_model.get_output_embeddings().weight)
    each = F.cross_entropy(logits.float(), token, reduction="none") * batch["weights"]
    is_caption = caption.bool()
    weights = batch["weights"]
    return (
        each[is_caption].sum() / weights[is_caption].sum(),
        each[~is_caption].sum() / weights[~is_caption].sum(),
    )


def matching(seen, batch, slot_noun):
    """Every noun in a text looks at the slots that hold it and at the start token, in equal parts.

    So an absent noun looks at the start token alone, and n objects leave it 1/(n+1): presence and number can be
    read off. In the first layer a token knows only itself, so nouns that share their last word ("hot dog") are
    matched in the second layer, where it can know the word before it.
    """
    b, at, noun, shared = batch["mentions"].unbind(-1)
    mine = batch["segment"][b, at]
    start = (batch["segment"][b] == mine[:, None]).int().argmax(1) + SLOTS
    holds = slot_noun[b] == noun[:, None]
    wanted = torch.zeros(len(b), seen.words[0].shape[-1])
    wanted[:, :SLOTS] = holds.float()
    wanted[torch.arange(len(b)), start] = 1
    first = spread(seen.words[0][b, 0, at + SLOTS], wanted)
    second = spread(seen.words[1][b, 0, at + SLOTS], wanted)
    present = holds.any(1)
    plain = shared == 0
    mean = lambda loss, where: loss[where].sum() / where.sum().clamp(min=1)
    return mean(first, present & plain), mean(first, ~present & plain), mean(second, ~plain) * 0.2


def slot_losses(heads, slots, own, t, nouns):
    """What each of the 16 slots [B, 16, 192] must know of its cell; `own`: self-attention of the last layer."""
    out = {}
    occupied = (t["slot_noun"] < nouns).sum()
    per_object = lambda head, labels: (
        F.cross_entropy(head(slots).float().flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum")
        / occupied
    )
    out["slot noun"] = per_object(heads.slot_noun, t["slot_noun"])
    out["slot colour"] = per_object(heads.slot_colour, t["slot_colour"])
    out["slot count"] = per_object(heads.slot_count, t["slot_count"])
    out["slot order"] = per_object(heads.slot_order, t["slot_order"])

    held = t["slot_noun"]
    missed = (heads.slot_offset(slots).float() - t["slot_offset"]).abs().sum(-1)
    out["slot offset"] = missed[held < nouns].mean()
    same = ((held[:, :, None] == held[:, None, :]) & (held < nouns)[:, :, None]).float()
    rows = same.any(-1)
    out["same noun"] = spread(own[:, 0], same)[rows].mean()
    return out


def losses(model, heads, seen, batch, nouns, colours):
    """-> {name: loss}, unweighted"""
    t = targets_of(batch, nouns, colours)
    out = {}
    out["caption"], out["answers"] = language(model, seen, batch)

    noun = heads.patch_noun(seen.patches).float().flatten(0, 1)
    noun = F.cross_entropy(noun, t["patch_noun"].flatten(), reduction="none")
    covered = t["covered"].flatten()
    out["patch noun"], out["patch background"] = noun[covered].mean(), noun[~covered].mean()
    colour = heads.patch_colour(seen.patches).float().flatten(0, 1)
    colour = F.cross_entropy(colour, t["patch_colour"].flatten(), reduction="none")
    out["patch colour"] = colour[covered].mean() + colour[~covered].mean()
    centre = heads.patch_centre(seen.patches).float().squeeze(-1)
    out["patch centre"] = F.binary_cross_entropy_with_logits(centre, t["centre"], pos_weight=torch.tensor(6.0))

    # A centre near the border of two cells must fire one slot, not both and not none: it has to be known exactly.
    missed = (heads.patch_offset(seen.patches).float() - t["patch_offset"]).abs().sum(-1)
    out["patch offset"] = missed[t["covered"]].mean()

    patch_in_cell = cell_of_patch().float()
    out["look at cell"] = sum(log_share(c[:, :2, :, 1:], patch_in_cell).mean() for c in seen.cross) / len(seen.cross)

    out |= slot_losses(heads, seen.slots, seen.own[3], t, nouns)
    out["match present"], out["match absent"], out["match words"] = matching(seen, batch, t["slot_noun"])
    return out
