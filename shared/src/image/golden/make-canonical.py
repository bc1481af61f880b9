"""Writes canonical.json: small picture files and the image_id that Pillow's pixels give them.
Needs pillow 12.3.

    python make-canonical.py > canonical.json

The id is computed here independently of the TypeScript: SHA-256 over b"blip2-edge/image/v1\0", width
and height (224) as big-endian uint32, and the RGB bytes of convert("RGB").resize((224, 224), BICUBIC).
"""

import base64
import hashlib
import io
import json
import struct
import sys
import zlib

import PIL
from PIL import Image

WIDTH, HEIGHT = 37, 29


def noise(count: int, seed: int = 7) -> bytes:
    state = seed
    values = bytearray(count)
    for index in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values[index] = state >> 24
    return bytes(values)


def scene() -> Image.Image:
    """Smooth in places and noisy in others, so that lossy coding has something to do."""
    image = Image.new("RGB", (WIDTH, HEIGHT))
    extra = noise(WIDTH * HEIGHT)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            grain = extra[y * WIDTH + x] // 8 if x > WIDTH // 2 else 0
            image.putpixel((x, y), (x * 6, min(255, y * 8 + grain), 255 - x * 3 - y))
    return image


def saved(image: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(colour_type: int, samples: int) -> bytes:
    rows = b"".join(
        b"\0" + noise(WIDTH * samples * 2, seed=y + 1) for y in range(HEIGHT)
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def image_id(data: bytes) -> str:
    image = Image.open(io.BytesIO(data))
    rgb = image.convert("RGB").resize((224, 224), Image.BICUBIC).tobytes()
    digest = hashlib.sha256(b"blip2-edge/image/v1\0" + struct.pack(">II", 224, 224) + rgb)
    return "img_" + digest.hexdigest()


rgb = scene()
alpha = Image.frombytes("L", (WIDTH, HEIGHT), noise(WIDTH * HEIGHT, seed=3))
rgba = rgb.copy()
rgba.putalpha(alpha)
exif = Image.Exif()
exif[0x0112] = 6
files = {
    "jpeg 4:2:0": saved(rgb, "JPEG", quality=85),
    "jpeg 4:4:4": saved(rgb, "JPEG", quality=95, subsampling=0),
    "jpeg 4:2:2 progressive": saved(rgb, "JPEG", quality=60, subsampling=1, progressive=True),
    "jpeg grey": saved(rgb.convert("L"), "JPEG", quality=85),
    "jpeg with orientation 6": saved(rgb, "JPEG", quality=85, exif=exif),
    "png rgb": saved(rgb, "PNG"),
    "png rgb with orientation 6": saved(rgb, "PNG", exif=exif),
    "png rgba": saved(rgba, "PNG"),
    "png palette": saved(rgb.quantize(16), "PNG"),
    "png palette with transparency": saved(rgb.quantize(8), "PNG", transparency=1),
    "png grey": saved(rgb.convert("L"), "PNG"),
    "png grey with alpha": saved(rgba.convert("LA"), "PNG"),
    "png 1 bit": saved(rgb.convert("1"), "PNG"),
    "png 16-bit rgb": png16(2, 3),
    "png 16-bit rgba": png16(6, 4),
    "png 16-bit grey with alpha": png16(4, 2),
    "webp lossy": saved(rgb, "WEBP", quality=80),
    "webp lossless": saved(rgb, "WEBP", lossless=True),
    "webp lossy with alpha": saved(rgba, "WEBP", quality=80),
    "webp with orientation 6": saved(rgb, "WEBP", quality=80, exif=exif),
}
cases = [
    {"name": name, "image_id": image_id(data), "base64": base64.b64encode(data).decode()}
    for name, data in files.items()
]
rows = ",\n".join("    " + json.dumps(case) for case in cases)
sys.stdout.write(f'{{\n  "pillow": "{PIL.__version__}",\n  "cases": [\n{rows}\n  ]\n}}\n')
