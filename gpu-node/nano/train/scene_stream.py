"""Scenes from the TypeScript generator, batch by batch, as tensors.

The generator writes frames (see scenes/stream.ts); a thread reads ahead while the model works. One batch holds
`images` pictures; the texts of a picture (its caption and its questions) are packed into ONE sequence behind one
copy of the picture's tokens, each text a segment that sees the picture and itself only.
"""

import json
import queue
import struct
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

SLOTS = 16  # query tokens; slot i looks after cell i of a 4 x 4 grid
PATCHES = 8  # patches along a side
MAX_OBJECTS = 4
START, PAD, END = 2, 1, 202  # </s>, <pad>, newline

# Nouns of several words share their last word with another noun ("hot dog"): one token alone cannot match them.
SHARED_LAST_WORDS = ("dog", "bear", "tree", "truck", "ball")


@dataclass
class Vocabulary:
    """Label counts and which nouns cannot be told by their last token."""

    nouns: list[str]
    colours: int = 11

    @property
    def shared(self) -> np.ndarray:
        return np.array([n.split()[-1] in SHARED_LAST_WORDS for n in self.nouns])


def read_frames(node, main, arguments):
    """Yields (labels, rgb bytes) from a generator process until it ends."""
    process = subprocess.Popen([node, str(main), "stream", *arguments], stdout=subprocess.PIPE, bufsize=1 << 22)
    side = int(arguments[arguments.index("--size") + 1])
    try:
        while True:
            head = process.stdout.read(4)
            if len(head) < 4:
                return
            labels = json.loads(process.stdout.read(struct.unpack("<I", head)[0]))
            yield labels, process.stdout.read(side * side * 3)
    finally:
        process.kill()


class Batcher:
    """Turns frames into batches; `tokenizer` is the checkpoint's tokenizer.json."""

    def __init__(self, tokenizer_path, shared_nouns, side):
        self.tokenizer = Tokenizer.from_file(str(Path(tokenizer_path)))
        self.shared = shared_nouns
        self.side = side
        self.known = {}

    def encode(self, prompt, answer, mentions):
        """-> ids, first target index, {token index: noun}"""
        key = prompt + answer
        found = self.known.get(key)
        if found is None:
            encoding = self.tokenizer.encode(key + "\n")
            ids, offsets = encoding.ids, encoding.offsets
            first = next(i for i in range(1, len(ids)) if offsets[i][0] >= len(prompt))
            ends = {end: i for i, (_, end) in enumerate(offsets) if i > 0}
            found = ids, first, {ends[end]: noun for end, noun in mentions}
            if prompt:
                self.known[key] = found
        return found

    def batch(self, frames):
        images = len(frames)
        rgb = np.frombuffer(b"".join(f[1] for f in frames), np.uint8).reshape(images, self.side, self.side, 3)
        objects = np.full((images, MAX_OBJECTS, 6), -1, np.float32)
        background = np.zeros(images, np.int64)
        packed = []
        for i, (labels, _) in enumerate(frames):
            objects[i, : len(labels["objects"])] = labels["objects"]
            background[i] = labels["background"]
            packed.append([self.encode(p, a, m) + (kind,) for kind, p, a, m in labels["texts"]])
        longest = max(sum(len(t[0]) for t in texts) for texts in packed)
        longest = -(-longest // 8) * 8
        ids = np.full((images, longest), PAD, np.int64)
        position = np.zeros((images, longest), np.int64)
        segment = np.full((images, longest), -1, np.int64)
        targets, weights, mentions = [], [], []
        for i, texts in enumerate(packed):
            at = 0
            for s, (tokens, first, nouns, kind) in enumerate(texts):
                n = len(tokens)
                ids[i, at : at + n] = tokens
                position[i, at : at + n] = np.arange(SLOTS, SLOTS + n)
                segment[i, at : at + n] = s + 1
                caption = kind == "caption"
                for j in range(first, n):
                    # The token at j is predicted from j - 1.
                    targets.append((i, at + j - 1, tokens[j], caption))
                    weights.append(1.0 if caption or j < n - 1 else 0.05)
                for j, noun in nouns.items():
                    mentions.append((i, at + j, noun, int(self.shared[noun])))
                at += n
        return {
            "rgb": torch.from_numpy(rgb.copy()),
            "objects": torch.from_numpy(objects),
            "background": torch.from_numpy(background),
            "ids": torch.from_numpy(ids),
            "position": torch.from_numpy(position),
            "segment": torch.from_numpy(segment),
            "targets": torch.tensor(targets),
            "weights": torch.tensor(weights),
            "mentions": torch.tensor(mentions) if mentions else torch.zeros((0, 4), dtype=torch.long),
        }


class StatementBatcher:
    """Batches for the retrieval model: every picture with S statements, the first two of which are true of it."""

    def __init__(self, tokenizer_path, side):
        self.tokenizer = Tokenizer.from_file(str(Path(tokenizer_path)))
        self.side = side

    def batch(self, frames):
        images = len(frames)
        rgb = np.frombuffer(b"".join(f[1] for f in frames), np.uint8).reshape(images, self.side, self.side, 3)
        objects = np.full((images, MAX_OBJECTS, 6), -1, np.float32)
        statements = [s for labels, _ in frames for s in labels["statements"]]
        encodings = [self.tokenizer.encode(s[1]) for s in statements]
        longest = -(-max(len(e.ids) for e in encodings) // 4) * 4
        ids = np.full((len(statements), longest), PAD, np.int64)
        mentions = []
        for i, (e, s) in enumerate(zip(encodings, statements)):
            ids[i, : len(e.ids)] = e.ids
            ends = {end: at for at, (_, end) in enumerate(e.offsets) if at > 0}
            mentions += [(i, ends[end], noun) for end, noun in s[2]]
        true = np.zeros((images, len(statements)), bool)
        for i, (labels, _) in enumerate(frames):
            objects[i, : len(labels["objects"])] = labels["objects"]
            held = {}
            for noun, colour, *_ in labels["objects"]:
                held[noun] = (colour, held.get(noun, (0, 0))[1] + 1)
            for j, s in enumerate(statements):
                true[i, j] = s[4] in (-1, labels["background"]) and all(
                    noun in held and colour in (-1, held[noun][0]) and count in (-1, held[noun][1])
                    for noun, colour, count in s[3]
                )
        return {
            "rgb": torch.from_numpy(rgb.copy()),
            "objects": torch.from_numpy(objects),
            "background": torch.tensor([labels["background"] for labels, _ in frames]),
            "ids": torch.from_numpy(ids),
            "mentions": torch.tensor(mentions),
            "true": torch.from_numpy(true),  # of words alone: a wrong relation counts as true here
            "kinds": [s[0] for s in statements],
        }


def batches(frames, batcher, images, ahead=3):
    """Batches made by a thread, at most `ahead` of them waiting."""
    waiting = queue.Queue(maxsize=ahead)

    def fill():
        held = []
        for frame in frames:
            held.append(frame)
            if len(held) == images:
                waiting.put(batcher.batch(held))
                held = []
        waiting.put(None)

    threading.Thread(target=fill, daemon=True).start()
    while (batch := waiting.get()) is not None:
        yield batch
