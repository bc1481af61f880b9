"""What the retrieval model is taught: ITC and ITM as BLIP-2 has them, and where to look.

Whether a statement is true of a picture is known, so pairs that happen to be true are taken out of the negatives.
The matching loss of nano's language model has its like here: comparing a noun with sixteen slots is bilinear and
finds no gradient by itself, so in one layer each noun is told which slots to look at (and to look at the start token
when it is not there), in the next each slot is told which word speaks of it.
"""

import torch
from torch.nn import functional as F

import losses as L
import retrieval_model as R
from scene_stream import PAD, SLOTS

WEIGHTS = {
    "itc image": 1.0,
    "itc text": 1.0,
    "itm true": 1.0,
    "itm false": 0.75,
    "itm mined": 0.25,
    "word finds slot": 0.5,
    "slot finds word": 0.25,
    "look at cell": 0.05,
    "slot noun": 0.6,
    "slot colour": 0.3,
    "slot count": 0.6,
    "slot order": 0.1,
    "slot offset": 0.2,
    "same noun": 0.2,
}


def draw(scores, allowed):
    """One column per row, in proportion to exp(scores), among those allowed."""
    return scores.masked_fill(~allowed, -1e4).softmax(-1).clamp(min=1e-9).multinomial(1).squeeze(1)


def guidance(finding, reading, which, ids, mentions, slot_noun, nouns):
    """Attention of the pairs [P, heads, 16 + L, 16 + L]: words find their slots, slots find their words."""
    p, at, noun = mentions.unbind(-1)
    held = slot_noun[which]  # [P, 16]
    holds = held[p] == noun[:, None]
    wanted = torch.zeros(len(p), SLOTS + ids.shape[1])
    wanted[:, :SLOTS] = holds.float()
    wanted[:, SLOTS] = 1  # the start token
    each = L.spread(finding[p, 0, SLOTS + at], wanted)
    there = holds.any(1)
    words = each[there].mean() + each[~there].mean()

    named = torch.zeros(len(which), SLOTS, SLOTS + ids.shape[1])
    pair, slot = holds.nonzero().unbind(-1)
    named[p[pair], slot, SLOTS + at[pair]] = 1
    occupied = held < nouns
    named[:, :, SLOTS] = (occupied & ~named.any(-1)).float()
    slots = L.spread(reading[:, 0, :SLOTS], named)[occupied].mean()
    return words, slots


def losses(model, heads, batch, nouns, colours):
    """-> {name: loss or figure}, unweighted"""
    t = L.targets_of(batch, nouns, colours)
    ids, true = batch["ids"], batch["true"]
    there = ids != PAD
    b, texts = true.shape
    each = texts // b
    with torch.no_grad():
        image = R.M.see(model, batch["rgb"])
    keys = R.image_keys(model, image)
    slots, own, crosses = R.see_slots(model, keys, b)
    out = L.slot_losses(heads, slots, own, t, nouns)
    in_cell = L.cell_of_patch().float()
    out["look at cell"] = sum(L.log_share(c[:, :2, :, 1:], in_cell).mean() for c in crosses) / len(crosses)

    # ITC: the best of 16 slots against a text, over all texts and all pictures of the batch.
    text = R.project_text(model, R.read_texts(model, ids, there))
    cosine = torch.einsum("iqd,td->iqt", R.project_image(model, slots), text).amax(1)  # [B, texts]
    scores = cosine / heads.log_temperature.exp().clamp(0.01, 0.2)
    mine = torch.arange(texts) // each
    whole = torch.arange(b) * each
    own_whole = torch.zeros(b, texts, dtype=torch.bool)
    own_whole[torch.arange(b), whole] = True
    wrong_word = torch.zeros(b, texts, dtype=torch.bool)  # a false relation of its own picture stays a negative
    wrong_word[mine, torch.arange(texts)] = (torch.arange(texts) % each) > 1
    to_text = scores.masked_fill(true & ~own_whole & ~wrong_word, -1e4)
    out["itc image"] = F.cross_entropy(to_text, whole, label_smoothing=0.0)
    true_texts = (torch.arange(texts) % each < 2).nonzero().squeeze(1)
    owner = mine[true_texts]
    elsewhere = true[:, true_texts].T & (owner[:, None] != torch.arange(b))
    out["itc text"] = F.cross_entropy(scores[:, true_texts].T.masked_fill(elsewhere, -1e4), owner)

    # ITM: each picture with its statements, with a likely wrong text of another, and each text with a wrong picture.
    with torch.no_grad():
        usable = ~true[:, true_texts]
        wrong_text = true_texts[draw(scores[:, true_texts], usable)]
        wrong_image = draw(scores[:, whole].T, ~true[:, whole].T)
    which = torch.cat([mine, torch.arange(b), wrong_image])
    said = torch.cat([torch.arange(texts), wrong_text, whole])
    logits, finding, reading = R.compare(model, keys, which, ids[said], there[said])
    label = torch.zeros(len(which), dtype=torch.long)
    label[true_texts] = 1
    loss = F.cross_entropy(logits, label, reduction="none")
    first = torch.arange(len(which))
    is_true, is_false, is_mined = label == 1, (label == 0) & (first < texts), first >= texts
    out["itm true"], out["itm false"], out["itm mined"] = loss[is_true].mean(), loss[is_false].mean(), loss[is_mined].mean()

    mentions = batch["mentions"]  # of the texts, which are the first pairs
    out["word finds slot"], out["slot finds word"] = guidance(
        finding[:texts], reading[:texts], which[:texts], ids, mentions, t["slot_noun"], nouns
    )

    with torch.no_grad():
        right = (logits.argmax(-1) == label).float()
        out["% true"], out["% false"], out["% mined"] = (right[k].mean() for k in (is_true, is_false, is_mined))
        for kind in ("noun", "colour", "count", "background", "extra", "binding", "relation"):
            of_kind = torch.tensor([k == kind for k in batch["kinds"]])
            if of_kind.any():
                out[f"% {kind}"] = right[:texts][of_kind].mean()
        out["% itc"] = (to_text.argmax(-1) == whole).float().mean()
    return out
