"""Writes retrieval-1.json: one message of each kind of matching and embedding between edge and node, which
joined version 1 of the protocol after protocol-1.json was fixed. The frame and the floats are made here by
hand, not by the code that the project uses. Needs only Python's standard library.

    python make_retrieval.py > retrieval-1.json

Version 1 is fixed: later versions of the project must still read these messages. Do not change them;
add a file for a new version.
"""

import base64
import json
import struct
import sys

IMAGE_ID = "img_" + "0123456789abcdef" * 4
REVISION = "fedcba9876543210"
PARTITION = "00112233445566778899aabbccddeeff"
MODEL = {"model": "blip2-nano-itm", "model_revision": REVISION}
ABOUT = {**MODEL, "partition": PARTITION, "image": {"image_id": IMAGE_ID, "size": 14}}


def embedding(dims, values):
    return {"dims": dims, "data": base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()}


match_request = {**ABOUT, "texts": ["two caf\u00e9s", "a lion"], "scores": ["itm", "itc"], "deadline_ms": 15000}
match_response = {
    **MODEL,
    "image_id": IMAGE_ID,
    "matches": [{"itm": 0.9762, "itc": 0.4406}, {"itm": 0.0238, "itc": -0.125}],
    "vision_passes": 1,
}
match_response_itc = {**MODEL, "image_id": IMAGE_ID, "matches": [{"itc": 0.4406}], "vision_passes": 0}
embed_image_request = {**ABOUT, "features": "projected", "deadline_ms": 15000}
embed_image_response = {
    **MODEL,
    # 0.1 is no float32: what is read back is the nearest one.
    "embeddings": [embedding([2, 3], [0.1, -1.0, 2.0**-149, 1.5, -0.0, 3.4028234663852886e38])],
    "vision_passes": 1,
}
embed_text_request = {**MODEL, "features": "query", "texts": ["a lion"], "deadline_ms": 15000}
embed_text_response = {**MODEL, "embeddings": [embedding([3, 1], [0.5, 0.25, -0.75])], "vision_passes": 0}
catalog = {
    "models": [
        {**MODEL, "family": "retrieval", "image_size": 96, "abilities": ["match", "embed"]},
    ]
}

pixels = bytes((index * 7) % 256 for index in range(14 * 14 * 3))
boundary = b"blip2-golden"


def framed(request):
    text = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
    body = b"".join(
        [
            b"--" + boundary + b"\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(text),
            text,
            b"\r\n--" + boundary + b"\r\ncontent-type: application/vnd.blip2.rgb8\r\ncontent-length: %d\r\n\r\n" % len(pixels),
            pixels,
            b"\r\n--" + boundary + b"--\r\n",
        ]
    )
    return {
        "boundary": boundary.decode(),
        "content_type": 'multipart/related; type="application/json"; boundary="blip2-golden"',
        "json": text.decode(),
        "body_base64": base64.b64encode(body).decode(),
    }


json.dump(
    {
        "match_request": match_request,
        "match_response": match_response,
        "match_response_itc": match_response_itc,
        "embed_image_request": embed_image_request,
        "embed_image_response": embed_image_response,
        "embed_text_request": embed_text_request,
        "embed_text_response": embed_text_response,
        "embed_image_values": list(struct.unpack("<6f", base64.b64decode(embed_image_response["embeddings"][0]["data"]))),
        "catalog": catalog,
        "framed_match": framed(match_request),
        "framed_embed": framed(embed_image_request),
    },
    sys.stdout,
    indent=2,
)
print()
