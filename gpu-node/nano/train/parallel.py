"""What every training here has in common: processes that share weights, AdamW, the clock, checkpoints, the log.

Two (or more) single-thread processes share the weights in memory: each computes gradients on scenes of its own,
then each updates its share of all weights. The learning rate follows a cosine over WALL TIME, so that a run on a
busy machine ends when it was meant to, at zero. A run stopped at any time goes on from its last checkpoint.

A training is a task: an object with `modules` (the model to keep, then what is trained beside it), `stream_options`
(what the scene generator is asked for), `batcher(args)`, `loss_weights`, `losses(modules, batch)` and
`export(model, folder)`.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path

import torch
import torch.multiprocessing as mp

from scene_stream import batches, read_frames

SCENES = Path(__file__).resolve().parent.parent / "scenes" / "main.ts"


def parser(description, questions):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--start", required=True, help="checkpoint folder to go on from")
    p.add_argument("--out", required=True, help="folder for checkpoints, log and export")
    p.add_argument("--minutes", type=float, default=90, help="length of the whole cosine, resumed parts counted")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--warmup", type=int, default=80, help="steps")
    p.add_argument("--images", type=int, default=28, help="pictures per process and step")
    p.add_argument("--questions", type=int, default=questions)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--seed", type=int, default=1000)
    p.add_argument("--sprites", action="append", default=[], help="more styles than the shipped ones")
    p.add_argument("--node", default="node")
    p.add_argument("--save-every", type=float, default=5, help="minutes")
    p.add_argument("--device", default="cpu", help="cuda: one process, --workers is 1")
    return p


class Shared:
    """All weights, gradients and moments as flat vectors in memory that every process sees."""

    def __init__(self, modules, workers, device="cpu"):
        named = [(n, p) for m in modules for n, p in m.named_parameters() if p.requires_grad]
        self.size = sum(p.numel() for _, p in named)
        zeros = lambda: torch.zeros(self.size, device=device).share_memory_()
        self.weights = torch.cat([p.data.flatten().float() for _, p in named]).share_memory_()
        self.gradients = [zeros() for _ in range(workers)]
        self.first, self.second, self.decays = zeros(), zeros(), zeros()
        self.norms = torch.zeros(workers, device=device).share_memory_()
        self.clock = torch.zeros(1).share_memory_()  # progress of the run, 0..1
        at = 0
        for name, p in named:
            matrix = p.dim() > 1 and "position" not in name and "tokens" not in name
            self.decays[at : at + p.numel()] = float(matrix)
            at += p.numel()

    def attach(self, modules, worker):
        at = 0
        for p in (p for m in modules for p in m.parameters() if p.requires_grad):
            n = p.numel()
            p.data = self.weights[at : at + n].view_as(p)
            p.grad = self.gradients[worker][at : at + n].view_as(p)
            at += n


def adam(shared, worker, barrier, lr, step, decay=0.05, betas=(0.9, 0.98), clip=1.0):
    """One AdamW step on this process's share of the weights, with the gradients of all."""
    workers = len(shared.gradients)
    low, high = shared.size * worker // workers, shared.size * (worker + 1) // workers
    barrier.wait()
    g = torch.stack([g[low:high] for g in shared.gradients]).mean(0) if workers > 1 else shared.gradients[0][low:high]
    shared.norms[worker] = g.square().sum()
    barrier.wait()
    g = g * (clip / (shared.norms.sum().sqrt() + 1e-6)).clamp(max=1)
    m, v, w = shared.first[low:high], shared.second[low:high], shared.weights[low:high]
    m.lerp_(g, 1 - betas[0])
    v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
    w.addcmul_(w, shared.decays[low:high], value=-lr * decay)
    root = (v / (1 - betas[1] ** step)).sqrt_().add_(1e-8)
    w.addcdiv_(m, root, value=-lr / (1 - betas[0] ** step))
    shared.gradients[worker].zero_()
    barrier.wait()


def keep(args, shared, task, model, step, images, seconds, runs):
    """The checkpoint to go on from, replaced in one stroke, and the export to use."""
    path = Path(args.out) / "checkpoint.pt"
    held = {"step": step, "images": images, "seconds": seconds, "runs": runs}
    for name in ("weights", "first", "second"):
        held[name] = getattr(shared, name)
    torch.save(held, f"{path}.new")
    os.replace(f"{path}.new", path)
    task.export(model, Path(args.out) / "export")


def work(worker, args, shared, task, state, barrier):
    torch.set_num_threads(1)
    torch.set_default_device(args.device)
    modules = task.modules
    model = modules[0]
    shared.attach(modules, worker)
    side = model.config.vision_config.image_size // 2
    # A resumed run and every process draw scenes that no other has drawn.
    seed = args.seed + worker + 100 * state["runs"]
    sprites = [x for s in args.sprites for x in ("--sprites", s)]
    options = ["--seed", str(seed), "--size", str(side), "--questions", str(args.questions)]
    options += ["--mix", "training", *task.stream_options, *sprites]
    frames = read_frames(args.node, SCENES, options)
    batcher = task.batcher(side)
    for module in modules:
        module.train()

    step, images, before = state["step"], state["images"], state["seconds"]
    begun = saved = told = time.time()
    sums, count = {}, 0
    told_images = images
    for batch in batches(frames, batcher, args.images):
        seconds = before + time.time() - begun
        progress = torch.tensor(min(1.0, seconds / (args.minutes * 60)))
        if worker == 0:  # its clock rules, or the processes would part at the end
            shared.clock[0] = progress
        barrier.wait()
        progress = shared.clock[0].item()
        if progress >= 1:
            break
        step += 1
        lr = args.lr * 0.5 * (1 + math.cos(math.pi * progress)) * min(1, (step - state["step"]) / args.warmup)
        batch = {n: t.to(args.device) if isinstance(t, torch.Tensor) else t for n, t in batch.items()}
        with torch.autocast(args.device, torch.bfloat16):
            each = task.losses(modules, batch)
        total = sum(task.loss_weights[name] * loss for name, loss in each.items() if name in task.loss_weights)
        if torch.isfinite(total):
            total.backward()
        else:
            print(f"step {step}: a loss is not finite, skipped", flush=True)
        adam(shared, worker, barrier, lr, step)
        images += args.images * args.workers
        if worker > 0:
            continue
        for name, loss in each.items():
            sums[name] = sums.get(name, 0.0) + float(loss)
        count += 1
        now = time.time()
        if now - told > 30:
            line = {
                "minutes": round(seconds / 60, 1),
                "images": images,
                "per second": round((images - told_images) / (now - told), 1),
                "lr": round(lr, 6),
                **{k: round(v / count, 3) for k, v in sums.items()},
            }
            print(json.dumps(line), flush=True)
            with open(Path(args.out) / "log.jsonl", "a") as log:
                log.write(json.dumps(line) + "\n")
            told, told_images, sums, count = now, images, {}, 0
        if now - saved > args.save_every * 60:
            saved = now
            keep(args, shared, task, model, step, images, seconds, state["runs"])
    if worker == 0:
        seconds = before + time.time() - begun
        keep(args, shared, task, model, step, images, seconds, state["runs"])
        print(f"done: {images} images in {seconds / 60:.1f} minutes", flush=True)


def train(args, task):
    if args.device != "cpu":
        args.workers = 1
    Path(args.out).mkdir(parents=True, exist_ok=True)
    for module in task.modules:
        module.to(args.device)
    shared = Shared(task.modules, args.workers, args.device)
    state = {"step": 0, "images": 0, "seconds": 0.0, "runs": 0}
    checkpoint = Path(args.out) / "checkpoint.pt"
    if checkpoint.exists():
        held = torch.load(checkpoint, map_location=args.device)
        for name in ("weights", "first", "second"):
            # A reader that the checkpoint does not know yet stands at the end and keeps its fresh weights.
            getattr(shared, name)[: len(held[name])] = held[name]
        state = {name: held[name] for name in state}
        state["runs"] += 1
        print(f"goes on after {state['images']} images, {state['seconds'] / 60:.1f} minutes", flush=True)
    barrier = mp.get_context("spawn").Barrier(args.workers)
    rest = (args, shared, task, state, barrier)
    if args.workers == 1:
        work(0, *rest)
    else:
        mp.spawn(work, rest, nprocs=args.workers)


def nouns(node):
    return json.loads(os.popen(f"{node} {SCENES} nouns").read())
