"""Makes searches.json beside each checkpoint: what transformers 5.18 generates from the committed weights
under mixed settings (greedy and beams, penalties, n-gram blocks, lengths, early stopping).

    python make_search.py [FAMILY]     (after a family's make.py; the checkpoints stay as they are)

Two groups per checkpoint: its own end token, and one that comes often. Per case: `text` (index into `texts`), `generation`, `ids` (each returned sequence, end token included),
`log_prob` (mean log-softmax of the raw logits, from one teacher-forced pass), and `margin`: how near the
nearest decision was to falling the other way. A margin below 1e-4 is kept and marked by its size, since
no two implementations need agree on it.
"""

import json
import random
import sys
from collections import Counter
from pathlib import Path

import torch
import reference
from transformers import Blip2ForConditionalGeneration, GenerationMixin
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
from transformers.utils import logging

HERE = Path(__file__).parent
CHECKPOINTS = dict(
    opt=("published", "sharded", "untied"), t5=("published", "tied", "aliased", "scaled")
)
CASES_PER_END = 60
TRIALS = 150
TOLD_AT_MOST = 12
DEAD = -1e8  # scores of what is not in the race


class Margins:
    """Watches the decisions of beam search: who runs on, who finishes, in which order, and the end."""

    def __init__(self):
        self.least = float("inf")

    def see(self, gap):
        self.least = min(self.least, abs(float(gap)))

    def see_order(self, scores, count):
        """Which are the first `count`, and in which order."""
        alive = [s for s in scores.sort(descending=True).values.tolist() if s > DEAD][: count + 1]
        for one, other in zip(alive, alive[1:]):
            self.see(one - other)

    def __enter__(self):
        self.kept = {
            name: getattr(GenerationMixin, name)
            for name in ("_get_running_beams_for_next_iteration", "_update_finished_beams")
        }
        heuristic = GenerationMixin._check_early_stop_heuristic
        self.kept_heuristic = heuristic
        margins = self
        running, finished = self.kept.values()

        def watch_running(model, **kwargs):
            stops = kwargs["next_token_hits_stopping_criteria"][0]
            scores = kwargs["topk_log_probs"][0][~stops].sort(descending=True).values
            n = kwargs["num_beams"]
            if len(scores) > n and scores[n] > DEAD:
                margins.see(scores[n - 1] - scores[n])
            return running(model, **kwargs)

        def watch_finished(model, **kwargs):
            n = kwargs["num_beams"]
            stops = kwargs["next_token_hits_stopping_criteria"][0]
            scores = kwargs["topk_log_probs"][0]
            if stops[n - 1] != stops[n] and scores[n] > DEAD:
                margins.see(scores[n - 1] - scores[n])
            length = kwargs["cur_len"] + 1 - kwargs["decoder_prompt_len"]
            new = (scores / length ** kwargs["length_penalty"])[:n][stops[:n]]
            margins.see_order(torch.cat([kwargs["beam_scores"][0], new]), n)
            return finished(model, **kwargs)

        def watch_end(**kwargs):
            never = kwargs["early_stopping"] == "never" and kwargs["length_penalty"] > 0
            length = kwargs["max_length"] if never else kwargs["cur_len"]
            length -= kwargs["decoder_prompt_len"]
            best = kwargs["running_beam_scores"][0, 0] / length ** kwargs["length_penalty"]
            if kwargs["is_sent_finished"].all() and best > DEAD:
                margins.see(best - kwargs["beam_scores"].min())
            return heuristic(**kwargs)

        GenerationMixin._get_running_beams_for_next_iteration = watch_running
        GenerationMixin._update_finished_beams = watch_finished
        GenerationMixin._check_early_stop_heuristic = staticmethod(watch_end)
        return self

    def __exit__(self, *_):
        for name, function in self.kept.items():
            setattr(GenerationMixin, name, function)
        GenerationMixin._check_early_stop_heuristic = staticmethod(self.kept_heuristic)


def settings(rng: random.Random, at: int, before: int) -> dict:
    beams = (1, 2, 3, 4, 5)[at % 5]
    drawn = dict(
        num_beams=beams,
        length_penalty=rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0]),
        early_stopping=(True, False, "never")[at // 5 % 3],
    )
    if rng.random() < 0.5:
        drawn["repetition_penalty"] = rng.choice([0.8, 1.2, 1.7])
    if rng.random() < 0.4:
        drawn["no_repeat_ngram_size"] = rng.choice([2, 3])
    if rng.random() < 0.4:
        drawn["min_new_tokens"] = rng.choice([3, 6, 11])
    elif rng.random() < 0.3:
        drawn["min_length"] = before + rng.choice([-3, 0, 4, 9])
    new_tokens = rng.choice([4, 8, 12, 16, 20])
    if rng.random() < 0.2:
        drawn["max_length"] = before + new_tokens
    elif new_tokens != 20:
        drawn["max_new_tokens"] = new_tokens
    if beams > 1 and rng.random() < 0.5:
        drawn["num_return_sequences"] = rng.randint(2, beams)
    return drawn


def is_t5(model) -> bool:
    return model.config.text_config.model_type == "t5"


def prompt_length(model, ids) -> int:
    """What stands before the answer in the decoder."""
    return 1 if is_t5(model) else ids.shape[1]


def teacher_forced(model, pixel_values, ids, new: list):
    """[len(new), vocab]"""
    if is_t5(model):
        start = model.config.text_config.decoder_start_token_id
        return model(
            pixel_values=pixel_values, input_ids=ids, attention_mask=torch.ones_like(ids),
            decoder_input_ids=torch.tensor([[start, *new[:-1]]]),
        ).logits[0]
    full = torch.cat([ids, torch.tensor([new])], 1)
    logits = model(pixel_values=pixel_values, input_ids=full, attention_mask=torch.ones_like(full)).logits
    return logits[0, ids.shape[1] - 1 : -1]


@torch.no_grad()
def generate(model, pixel_values, ids, generation: dict) -> dict:
    end = model.config.text_config.eos_token_id
    with Margins() as margins:
        out = model.generate(
            pixel_values=pixel_values, input_ids=ids, attention_mask=torch.ones_like(ids),
            do_sample=False, output_scores=True, return_dict_in_generate=True, **generation,
        )
        if generation["num_beams"] == 1:
            for scores in out.scores:
                margins.see(scores[0].topk(2).values.diff())
    sequences, log_probs = [], []
    for row in out.sequences[:, prompt_length(model, ids) :].tolist():
        new = row[: row.index(end) + 1] if end in row else row
        logits = teacher_forced(model, pixel_values, ids, new)
        each = logits.double().log_softmax(-1).gather(1, torch.tensor(new)[:, None])
        sequences.append(new)
        log_probs.append(round(float(each.mean()), 6))
    return dict(ids=sequences, log_prob=log_probs, margin=float(f"{margins.least:.3g}"))


def make(folder: Path, seed: int) -> None:
    model = Blip2ForConditionalGeneration.from_pretrained(
        folder / "checkpoint", dtype=torch.float32, attn_implementation="eager"
    ).eval()
    size = model.config.vision_config.image_size
    to_pixels = BlipImageProcessorPil(size=dict(height=size, width=size))
    pixel_values = to_pixels(reference.picture(), return_tensors="pt")["pixel_values"]
    # Texts and their ids as golden.json has them.
    texts = {run["text"]: run["text_ids"] for run in json.loads((folder / "golden.json").read_text())["runs"]}
    image = [model.config.image_token_index] * model.config.num_query_tokens
    rng = random.Random(seed)

    def case(at: int, **more) -> dict:
        text = rng.randrange(len(texts))
        ids = torch.tensor([image + list(texts.values())[text]])
        generation = settings(rng, at, prompt_length(model, ids)) | more
        return dict(text=text, generation=generation, **generate(model, pixel_values, ids, generation))

    def again(one: dict, **more) -> dict:
        ids = torch.tensor([image + list(texts.values())[one["text"]]])
        generation = one["generation"] | more
        return one | dict(generation=generation, **generate(model, pixel_values, ids, generation))

    own = [case(at) for at in range(CASES_PER_END)]
    # With the checkpoint's own end token most texts run to their limit, where early stopping changes
    # little: once more with one that comes often, and settings for which the three ways differ.
    end = model.config.text_config.eos_token_id
    said = Counter(t for one in own for ids in one["ids"] for t in ids if t != end)
    often_end = said.most_common(1)[0][0]
    set_end(model, often_end)
    often = [case(at) for at in range(CASES_PER_END)]
    told = 0
    for at in range(TRIALS):
        one = case(1 + at % 4, num_return_sequences=2, early_stopping=True)
        three = [one] + [again(one, early_stopping=early) for early in (False, "never")]
        if len({str(each["ids"]) for each in three}) > 1:
            often += three
            told += 1
        if told == TOLD_AT_MOST:
            break
    groups = [dict(end=end, cases=own), dict(end=often_end, cases=often)]
    (folder / "searches.json").write_text(written(list(texts), groups))
    cases = own + often
    thin = [each["margin"] for each in cases if each["margin"] < 1e-4]
    ended = sum(end in ids for one in own for ids in one["ids"])
    ended_often = sum(often_end in ids for one in often for ids in one["ids"])
    print(folder.parent.name, folder.name, len(cases), "cases,", sum(len(c["ids"]) for c in cases), "sequences,",
          ended, "and", ended_often, "ended,", told, "where early stopping tells, thin:", thin)


def set_end(model, end: int) -> None:
    model.config.text_config.eos_token_id = end
    model.language_model.config.eos_token_id = end
    model.language_model.generation_config.eos_token_id = end


def written(texts: list, groups: list) -> str:
    """One case a line."""
    def lines(cases):
        return ",\n".join("  " + json.dumps(each, separators=(",", ":")) for each in cases)

    parts = ",\n".join(f'{{"end": {g["end"]}, "cases": [\n{lines(g["cases"])}\n]}}' for g in groups)
    return f'{{"texts": {json.dumps(texts)},\n"groups": [{parts}]}}\n'


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    logging.set_verbosity_error()
    for family in sys.argv[1:] or CHECKPOINTS:
        names = CHECKPOINTS[family]
        for seed, name in enumerate(names):
            make(HERE / family / name, seed)


if __name__ == "__main__":
    main()
