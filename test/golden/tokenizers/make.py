"""Ids and decoded text of hostile and ordinary strings, by transformers' own tokenizers. Writes golden.json beside.

Needs transformers 5.18. The tokenizers are those of the golden checkpoints and of nano: byte-level BPE, Unigram,
WordPiece where the retrieval goldens stand.
"""

import json
import random
from pathlib import Path

import transformers
from transformers import AutoTokenizer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
FOLDERS = [
    "gpu-node/nano/checkpoint",
    "test/golden/opt/published/checkpoint",
    "test/golden/t5/published/checkpoint",
    "test/golden/retrieval/published/checkpoint",
]
PIECES = [
    *"abcdefghijklmnopqrstuvwxyzABCXYZ0123456789",
    *[" ", "  ", "   ", "\t", "\n", "\r\n", "\u00a0", "\u200b", "\u3000"],
    *".,;:!?'\"()[]{}<>/\\|@#$%^&*-_=+~`",
    *"éèüñçßøåÉÜİıſ", "e\u0301", "n\u0303", "ﬁ", "Ⅷ", "½", "…", "—", "“", "”",
    *"猫犬日本語한국어", *"شجرةकुत्ता", "🦉", "👩‍🚀", "🇩🇪", "👍🏽",
    "the ", "a picture of ", "Question: ", " Answer:", "don't", "it's", "two owls", "n't", "'ll",
]


def strings(count, seed):
    rng = random.Random(seed)
    yield from ["", " ", "a", "two owls and a lion on a pink background", "Question: what is this? Answer:"]
    for _ in range(count):
        yield "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 24)))


def main():
    texts = list(strings(300, 20261124))
    out = {"transformers": transformers.__version__, "texts": texts, "tokenizers": {}}
    for folder in FOLDERS:
        if not (ROOT / folder).exists():
            continue
        tokenizer = AutoTokenizer.from_pretrained(ROOT / folder)
        ids = [tokenizer(text)["input_ids"] for text in texts]
        decoded = [tokenizer.decode(row, skip_special_tokens=True).strip() for row in ids]
        out["tokenizers"][folder] = {
            "class": type(tokenizer).__name__,
            "cases": [[row, text] for row, text in zip(ids, decoded)],
        }
    (HERE / "golden.json").write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
