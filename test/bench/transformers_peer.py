"""Times the reference implementation (transformers on PyTorch, CPU) on a checkpoint folder, for comparison.

One JSON object a line: {"dtype", "images", "new_tokens", "vision_seconds", "caption_seconds"}, each the best of
the repeats. Captions are greedy with exactly NEW_TOKENS new tokens. The pixels are random: time does not depend
on them.

    python transformers_peer.py CHECKPOINT --dtype float32 --images 1 8 --new-tokens 12 --threads 2 --repeats 3
"""

import argparse
import json
import sys
import time

import torch
import transformers
from transformers import Blip2ForConditionalGeneration


def best_of(repeats, call):
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--images", type=int, nargs="+", default=[1])
    parser.add_argument("--new-tokens", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    dtype = getattr(torch, args.dtype)
    model = Blip2ForConditionalGeneration.from_pretrained(args.checkpoint, dtype=dtype).eval()
    config = model.config
    size = config.vision_config.image_size
    bos = config.text_config.bos_token_id
    prompt = [config.image_token_index] * config.num_query_tokens + [bos]
    print(
        f"torch {torch.__version__}, transformers {transformers.__version__}, {args.dtype}",
        file=sys.stderr,
    )
    generator = torch.Generator().manual_seed(1)
    for images in args.images:
        pixels = torch.randn(images, 3, size, size, generator=generator).to(dtype)
        ids = torch.tensor([prompt] * images)

        def vision():
            model.vision_model(pixel_values=pixels)

        def caption():
            made = model.generate(
                pixel_values=pixels,
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=args.new_tokens,
                min_new_tokens=args.new_tokens,
            )
            if made.shape[1] - ids.shape[1] not in (args.new_tokens, args.new_tokens - ids.shape[1]):
                raise SystemExit(f"generated {tuple(made.shape)} ids, not {args.new_tokens} each")

        with torch.inference_mode():
            vision()
            caption()
            row = {
                "dtype": args.dtype,
                "images": images,
                "new_tokens": args.new_tokens,
                "vision_seconds": best_of(args.repeats, vision),
                "caption_seconds": best_of(args.repeats, caption),
            }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
