"""Writes heartbeat-1.json: a signed heartbeat of a node and what it is answered, in the form in which nodes
began to announce themselves. The signature is computed here by hand (RFC 9421, RFC 9530). Needs only
Python's standard library.

    python make_heartbeat.py > heartbeat-1.json

Later versions of the edge must still read it. Do not change it; add a file for another form.
"""

import base64
import hashlib
import hmac
import json
import sys

heartbeat = {
    "url": "https://gpu-1.example.com",
    "version": "0.1.0",
    "started_at": 1799999000000,
    "seq": 7,
    "state": "ready",
    "capacity": {"weight": 2, "max_jobs": 256, "max_work_ms": 30000},
    "load": {"jobs": 3, "work_ms": 1200},
    "models": [
        {
            "model": "blip2-nano",
            "model_revision": "0123456789abcdef",
            "family": "opt",
            "image_size": 56,
            "precision": "mixed",
            "abilities": ["caption", "vqa"],
            "question_template": "Question: {} Answer:",
        }
    ],
}
response = {"next_ms": 5000}

body = json.dumps(heartbeat, separators=(",", ":"))
secret = "golden secret of thirty-two bytes, not used anywhere"
created = 1800000000
nonce = "00112233445566778899aabbccddeeff"
digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}:"
covered = '("@method" "@path" "@query" "content-digest" "blip2-protocol" "content-type")'
parameters = f'{covered};created={created};expires={created + 60};nonce="{nonce}";keyid="gpu-1";tag="blip2-edge/heartbeat"'
base = "\n".join(
    [
        '"@method": POST',
        '"@path": /internal/nodes/heartbeat',
        '"@query": ?',
        f'"content-digest": {digest}',
        '"blip2-protocol": 1',
        '"content-type": application/json',
        f'"@signature-params": {parameters}',
    ]
)
signature = base64.b64encode(hmac.new(secret.encode(), base.encode(), hashlib.sha256).digest()).decode()
json.dump(
    {
        "signed": {
            "method": "POST",
            "path": "/internal/nodes/heartbeat",
            "now_ms": created * 1000,
            "key": {"id": "gpu-1", "secret": secret},
            "headers": {
                "content-type": "application/json",
                "content-digest": digest,
                "blip2-protocol": "1",
                "signature-input": f"blip2={parameters}",
                "signature": f"blip2=:{signature}:",
            },
            "body": body,
        },
        "heartbeat": heartbeat,
        "response": response,
    },
    sys.stdout,
    indent=2,
)
print()
