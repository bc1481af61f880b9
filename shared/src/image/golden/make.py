"""Writes resample.json, the answers of Pillow's bicubic to seeded pictures. Needs pillow 12.3.

    python make.py > resample.json

A picture is filled byte by byte, in RGB order, with the top byte of the generator
state = state * 1664525 + 1013904223 (mod 2^32); the first byte is drawn after one step from the seed.
"""

import base64
import hashlib
import json
import sys

import PIL
from PIL import Image

CASES = [
    # source width, height, target width, height
    (1, 1, 224, 224), (1, 1, 1, 1), (1, 97, 224, 224), (97, 1, 224, 224), (1, 101, 224, 224),
    (1, 101, 1, 50), (1, 300, 5, 224), (2, 201, 7, 20), (2, 200, 7, 20), (3, 301, 3, 224),
    (3, 301, 9, 301), (3, 301, 9, 400), (301, 3, 224, 224), (2, 2, 3, 3), (3, 2, 2, 3), (5, 7, 5, 7),
    (5, 7, 5, 3), (5, 7, 3, 7), (7, 5, 13, 5), (7, 5, 7, 13), (17, 31, 1, 1), (31, 17, 2, 1),
    (224, 224, 224, 224), (224, 300, 224, 224), (300, 224, 224, 224), (223, 225, 224, 224),
    (640, 480, 224, 224), (480, 640, 364, 364), (333, 127, 64, 64), (127, 333, 96, 96),
    (64, 64, 224, 224), (100, 50, 364, 364), (448, 448, 224, 224), (1000, 10, 224, 224),
    (10, 1000, 224, 224), (9, 1000, 224, 224), (1023, 511, 384, 384), (4, 3000, 224, 224),
    (3000, 4, 224, 224), (50, 60, 14, 1024),
]
FULL_BELOW = 200  # outputs of at most so many bytes are kept whole


def picture(seed: int, width: int, height: int) -> Image.Image:
    state = seed
    values = bytearray(width * height * 3)
    for index in range(len(values)):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values[index] = state >> 24
    return Image.frombytes("RGB", (width, height), bytes(values))


cases = []
for index, (width, height, target_width, target_height) in enumerate(CASES):
    seed = 1000 + index
    output = picture(seed, width, height).resize((target_width, target_height), Image.BICUBIC).tobytes()
    case = {
        "seed": seed,
        "source": [width, height],
        "target": [target_width, target_height],
        "sha256": hashlib.sha256(output).hexdigest(),
    }
    if len(output) <= FULL_BELOW:
        case["base64"] = base64.b64encode(output).decode()
    cases.append(case)

rows = ",\n".join("    " + json.dumps(case) for case in cases)
sys.stdout.write(f'{{\n  "pillow": "{PIL.__version__}",\n  "cases": [\n{rows}\n  ]\n}}\n')
