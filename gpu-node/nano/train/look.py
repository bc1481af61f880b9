"""A quick look at an exported checkpoint on held-out scenes, through transformers' own generate().

The figures that count come from `npm run eval:nano`, through the HTTP API; these are for use while training runs.
"""

import argparse
import json
import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import Blip2ForConditionalGeneration

from model import MEAN, STD
from scene_stream import SLOTS, read_frames

IMAGE = 956
NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4}


def generate(model, tokenizer, pixels, prompts, limit, batch=100):
    """Greedy text for each (picture, prompt), batched by the prompt's length so that nothing is padded."""
    encoded = [tokenizer.encode(p).ids for p in prompts]
    by_length = defaultdict(list)
    for i, ids in enumerate(encoded):
        by_length[len(ids)].append(i)
    out = [""] * len(prompts)
    for members in by_length.values():
        for at in range(0, len(members), batch):
            part = members[at : at + batch]
            ids = torch.tensor([[IMAGE] * SLOTS + encoded[i] for i in part])
            chosen = torch.stack([pixels[i] for i in part])
            with torch.no_grad():
                made = model.generate(
                    pixel_values=chosen, input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit
                )
            for i, row in zip(part, made):
                out[i] = tokenizer.decode(row[ids.shape[1] :].tolist()).strip()
    return out


def groups_of(caption, plurals, colours):
    """-> {(noun, colour): count}, background"""
    text = caption.removeprefix("a picture of ")
    text, _, background = re.sub(r" (in front of|on) an? (\w+) background$", r"@\2", text).partition("@")
    found = Counter()
    for phrase in re.split(r", | and | to the left of | to the right of | above | below ", text):
        words = re.sub(r"^(a|an) (pair|ear|loaf) of ", "a ", phrase).split()
        if not words:
            continue
        count, words = NUMBERS.get(words[0], 0), words[1:]
        colour = words[0] if words and words[0] in colours else None
        name = " ".join(words[1:] if colour else words)
        found[plurals.get(name, name), colour] += count
    return found, background


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint")
    p.add_argument("--seed", default="9001")
    p.add_argument("--scenes", default="300")
    p.add_argument("--node", default="node")
    p.add_argument("--sprites", action="append", default=[], help="styles to draw in INSTEAD of the shipped ones")
    p.add_argument("--show", type=int, default=0, help="print that many wrong captions")
    args = p.parse_args()
    torch.set_num_threads(1)
    main_ts = Path(__file__).resolve().parent.parent / "scenes" / "main.ts"
    options = ["--seed", args.seed, "--count", args.scenes, "--size", "224", "--questions", "6"]
    options += [x for s in args.sprites for x in ("--sprites", s)] + (["--only"] if args.sprites else [])
    frames = list(read_frames(args.node, main_ts, options))
    model = Blip2ForConditionalGeneration.from_pretrained(args.checkpoint, dtype=torch.float32).eval()
    tokenizer = Tokenizer.from_file(str(Path(args.checkpoint) / "tokenizer.json"))

    plurals = json.loads(subprocess.check_output([args.node, str(main_ts), "plurals"]))
    colours = "red green blue yellow orange purple pink brown white black gray".split()

    pixels = []
    for _, rgb in frames:
        a = np.frombuffer(rgb, np.uint8).reshape(224, 224, 3).astype(np.float32) / 255
        pixels.append((torch.from_numpy((a - MEAN.numpy()) / STD.numpy())).permute(2, 0, 1))
    captions = generate(model, tokenizer, pixels, [""] * len(frames), 32)
    asked = [(i, *t) for i, (labels, _) in enumerate(frames) for t in labels["texts"][1:]]
    answers = generate(model, tokenizer, [pixels[a[0]] for a in asked], [a[2] for a in asked], 8)

    total = Counter()
    wrong = []
    for (labels, _), said in zip(frames, captions):
        truth, background = groups_of(labels["texts"][0][2], plurals, colours)
        got, got_background = groups_of(said, plurals, colours)
        total["background"] += background == got_background
        nouns, got_nouns = Counter(), Counter()
        for (noun, _), n in truth.items():
            nouns[noun] += n
        for (noun, _), n in got.items():
            got_nouns[noun] += n
        total["groups"] += len(nouns)
        total["said"] += len(got_nouns)
        total["recalled"] += sum(noun in got_nouns for noun in nouns)
        total["counted"] += sum(got_nouns.get(noun) == n for noun, n in nouns.items())
        for (noun, colour), _ in truth.items():
            heard = [c for (other, c) in got if other == noun]
            if colour and heard:
                total["coloured"] += 1
                total["colour right"] += heard == [colour]
        whole = truth == got and background == got_background
        total["whole"] += whole
        if not whole:
            wrong.append((labels["texts"][0][2], said))
    n = len(frames)
    print(
        f"recall {total['recalled'] / total['groups']:.3f} precision {total['recalled'] / max(1, total['said']):.3f} "
        f"colour {total['colour right'] / max(1, total['coloured']):.3f} background {total['background'] / n:.3f} "
        f"noun+count {total['counted'] / total['groups']:.3f} whole {total['whole'] / n:.3f}"
    )
    right, count, gold = Counter(), Counter(), defaultdict(Counter)
    for (_, kind, _, answer, _), said in zip(asked, answers):
        right[kind] += said == answer.strip()
        count[kind] += 1
        gold[kind][answer] += 1
    print(f"answers {sum(right.values()) / sum(count.values()):.3f}")
    for kind in count:
        blind = gold[kind].most_common(1)[0][1] / count[kind]
        print(f"  {kind:20} {right[kind] / count[kind]:.3f} blind {blind:.3f} n {count[kind]}")
    for truth, said in wrong[: args.show]:
        print(f"  {truth}  ->  {said}")


if __name__ == "__main__":
    main()
