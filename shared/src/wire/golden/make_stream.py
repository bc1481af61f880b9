"""Writes stream-1.json: requests with what joined version 1 of the protocol after protocol-1.json and
retrieval-1.json were fixed (a priority, a streamed answer), and two streams as they travel. Written by hand here, not by the project's own writer. Needs only Python's standard library.

    python make_stream.py > stream-1.json

Version 1 is fixed: later versions of the project must still read these messages. Do not change them;
add a file for a new version.
"""

import json
import sys

IMAGE_ID = "img_" + "0123456789abcdef" * 4
ABOUT = {
    "model": "blip2-nano",
    "model_revision": "0123456789abcdef",
    "partition": "00112233445566778899aabbccddeeff",
    "image": {"image_id": IMAGE_ID, "size": 14},
}
LATER = {"deadline_ms": 15000, "priority": "bulk"}
USAGE = {"image_tokens": 8, "prompt_tokens": 7, "completion_tokens": 4}

request = {
    **ABOUT,
    "texts": [None, "Question: how many? Answer:"],
    "generation": {"max_new_tokens": 20, "min_new_tokens": 0},
    **LATER,
    "stream": True,
}
match_request = {**ABOUT, "texts": ["a cube"], "scores": ["itc"], **LATER}
embed_request = {**ABOUT, "features": "query", **LATER, "priority": "interactive"}
result = {
    "model": "blip2-nano",
    "model_revision": "0123456789abcdef",
    "image_id": IMAGE_ID,
    "results": [
        {"text": "a red café \u2028\n🟥", "token_ids": [102, 1275, 4, 2], "finish_reason": "stop", "log_prob": -0.25, "usage": USAGE},
        {"text": "two", "token_ids": [80, 1, 2, 3], "finish_reason": "length", "log_prob": -1.5, "usage": USAGE},
    ],
    "vision_passes": 1,
}

HEARTBEAT = ": heartbeat\n\n"


def event(name, data):
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {text}\n\n"


texts = [
    {"index": 0, "text": "a red"},
    {"index": 1, "text": "two"},
    {"index": 0, "text": " café \u2028\n🟥"},
]
problem = {
    "type": "urn:blip2-edge:problem:engine_restarted",
    "title": "The inference engine stopped during the request",
    "status": 503,
    "code": "engine_restarted",
    "detail": "Send it again.",
    "retryable": True,
    "retry_after_s": 2,
}

json.dump(
    {
        "infer_request": request,
        "match_request": match_request,
        "embed_request": embed_request,
        "result": result,
        "stream": event("text", texts[0])
        + HEARTBEAT
        + event("text", texts[1])
        + event("text", texts[2])
        + event("result", result),
        "events": [{"event": "text", "data": data} for data in texts]
        + [{"event": "result", "data": result}],
        "failed_stream": event("text", texts[0]) + event("problem", problem),
        "failed_events": [
            {"event": "text", "data": texts[0]},
            {"event": "problem", "problem": problem},
        ],
    },
    sys.stdout,
    ensure_ascii=False,
    indent=1,
)
print()
