"""Writes protocol-1.json: one message of each kind of the protocol between edge and node, version 1,
and a signed request whose signature is computed here by hand (RFC 9421, RFC 9530), not by the library
that the project uses. Needs only Python's standard library.

    python make.py > protocol-1.json

Version 1 is fixed: later versions of the project must still read these messages. Do not change them;
add a file for a new version.
"""

import base64
import hashlib
import hmac
import json
import sys

IMAGE_ID = "img_" + "0123456789abcdef" * 4
REVISION = "0123456789abcdef"
USAGE = {"image_tokens": 8, "prompt_tokens": 7, "completion_tokens": 4}

infer_request = {
    "model": "blip2-nano",
    "model_revision": REVISION,
    "partition": "00112233445566778899aabbccddeeff",
    "image": {"image_id": IMAGE_ID, "size": 14},
    "texts": [None, "Question: how many caf\u00e9s? Answer:"],
    "generation": {"max_new_tokens": 20, "min_new_tokens": 0, "repetition_penalty": 1.5, "no_repeat_ngram_size": 0},
    "deadline_ms": 15000,
}
infer_response = {
    "model": "blip2-nano",
    "model_revision": REVISION,
    "image_id": IMAGE_ID,
    "results": [
        {"text": "a red cube", "token_ids": [102, 1275, 4, 2], "finish_reason": "stop", "log_prob": -0.25, "usage": {**USAGE, "prompt_tokens": 0}},
        {"text": "two", "token_ids": [80, 1, 2, 3], "finish_reason": "length", "log_prob": -1.5, "usage": USAGE},
    ],
    "vision_passes": 1,
}
catalog = {
    "models": [
        {
            "model": "blip2-nano",
            "model_revision": REVISION,
            "family": "opt",
            "image_size": 96,
            "abilities": ["caption", "vqa"],
            "question_template": "Question: {} Answer:",
        }
    ]
}
problem = {
    "type": "urn:blip2-edge:problem:pixels_required",
    "title": "The node does not hold this image's pixels",
    "status": 428,
    "code": "pixels_required",
    "detail": "Send the pixels with the request.",
    "retryable": True,
}

pixels = bytes((index * 7) % 256 for index in range(14 * 14 * 3))
text = json.dumps(infer_request, ensure_ascii=False, separators=(",", ":")).encode()
boundary = b"blip2-golden"
framed = b"".join(
    [
        b"--" + boundary + b"\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(text),
        text,
        b"\r\n--" + boundary + b"\r\ncontent-type: application/vnd.blip2.rgb8\r\ncontent-length: %d\r\n\r\n" % len(pixels),
        pixels,
        b"\r\n--" + boundary + b"--\r\n",
    ]
)
content_type = 'multipart/related; type="application/json"; boundary="blip2-golden"'

secret = "golden secret of thirty-two bytes, not used anywhere"
created = 1800000000
nonce = "00112233445566778899aabbccddeeff"
digest = f"sha-256=:{base64.b64encode(hashlib.sha256(framed).digest()).decode()}:"
covered = '("@method" "@path" "@query" "content-digest" "blip2-protocol" "content-type")'
parameters = f'{covered};created={created};expires={created + 60};nonce="{nonce}";keyid="golden";tag="blip2-edge/node"'
signature_base = "\n".join(
    [
        '"@method": POST',
        '"@path": /v1/infer',
        '"@query": ?',
        f'"content-digest": {digest}',
        '"blip2-protocol": 1',
        f'"content-type": {content_type}',
        f'"@signature-params": {parameters}',
    ]
)
mac = hmac.new(secret.encode(), signature_base.encode(), hashlib.sha256).digest()

json.dump(
    {
        "infer_request": infer_request,
        "infer_response": infer_response,
        "catalog": catalog,
        "problem": problem,
        "framed": {"boundary": boundary.decode(), "content_type": content_type, "json": text.decode(), "body_base64": base64.b64encode(framed).decode()},
        "signed": {
            "key": {"id": "golden", "secret": secret},
            "method": "POST",
            "url": "http://node.internal/v1/infer",
            "created": created,
            "nonce": nonce,
            "headers": {
                "blip2-protocol": "1",
                "content-digest": digest,
                "content-type": content_type,
                "signature-input": f"blip2={parameters}",
                "signature": f"blip2=:{base64.b64encode(mac).decode()}:",
            },
        },
    },
    sys.stdout,
    indent=2,
)
print()
