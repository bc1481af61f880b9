"""Makes golden.json: what the published evaluation code says of texts, answers and ranks.

    python make.py --coco-caption DIR --lavis DIR --vqa DIR    (checkouts; none of their code is kept here)

tylin/coco-caption 3a9afb2, salesforce/LAVIS 506965b, GT-Vision-Lab/VQA a013f00; nltk 3.10.3, sacrebleu 2.6.0.
Python 3.11, whose lib2to3 reads the two that are Python 2.
"""

import argparse
import ast
import contextlib
import io
import json
import random
import re
import sys
import types
import warnings
from lib2to3.refactor import RefactoringTool, get_fixers_from_package
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
parser = argparse.ArgumentParser()
for name in ("--coco-caption", "--lavis", "--vqa"):
    parser.add_argument(name, type=Path, required=True)
args = parser.parse_args()
draw = random.Random(20)


def python2(path: Path) -> dict:
    tool = RefactoringTool(get_fixers_from_package("lib2to3.fixes"))
    source = path.read_text().expandtabs(4)
    names = {"np": np, "__name__": path.stem}
    exec(str(tool.refactor_string(source + "\n", path.name)), names)
    return names


def functions(path: Path, wanted: set[str], names: dict) -> dict:
    """The named functions of a file whose imports are not at hand."""
    tree = ast.parse(path.read_text())
    found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name in wanted]
    for function in found:
        function.decorator_list = []
    exec(compile(ast.Module(found, []), path.name, "exec"), names)
    return names


scorers = args.coco_caption / "pycocoevalcap"
BleuScorer = python2(scorers / "bleu/bleu_scorer.py")["BleuScorer"]
CiderScorer = python2(scorers / "cider/cider_scorer.py")["CiderScorer"]
Rouge = python2(scorers / "rouge/rouge.py")["Rouge"]


# ---- captions
things = "dog cat man woman child horse bus train kite pizza table bench street beach field".split()
colours = "red blue green white black old young small large".split()
doings = "sitting standing running riding playing eating sleeping looking".split()


def realistic() -> str:
    a, b = draw.sample(things, 2)
    forms = [
        f"a {draw.choice(colours)} {a} {draw.choice(doings)} on a {b}",
        f"the {a} is {draw.choice(doings)} next to a {draw.choice(colours)} {b}",
        f"a {a} and a {b} in the picture",
        f"two {a}s {draw.choice(doings)} near the {b} with a {draw.choice(things)}",
        f"{a} {draw.choice(doings)}",
    ]
    return draw.choice(forms)


def noise() -> str:
    return " ".join(draw.choice("abcdefg") for _ in range(draw.choice([1, 2, 3, 5, 8, 14, 25])))


def corpus(kind: str, items: int) -> list:
    make = realistic if kind == "real" else noise
    made = []
    for _ in range(items):
        references = [make() for _ in range(draw.randint(1, 5))]
        candidate = make()
        if draw.random() < 0.3:
            words = draw.choice(references).split()
            cut = draw.randint(1, len(words))
            candidate = " ".join(words[:cut])
        if kind == "disjoint":
            candidate = " ".join("xyz"[at % 3] for at in range(len(candidate.split())))
        made.append({"candidate": candidate, "references": references})
    return made


def caption_case(kind: str, items: int) -> dict:
    import nltk.translate.bleu_score as nb
    from sacrebleu.metrics import BLEU

    made = corpus(kind, items)
    bleu, cider = BleuScorer(n=4), CiderScorer(n=4, sigma=6.0)
    for item in made:
        bleu += (item["candidate"], item["references"])
        cider += (item["candidate"], item["references"])
    scores, _ = bleu.compute_score(option="closest", verbose=0)
    _, each = cider.compute_score()
    rouge = [Rouge().calc_score([i["candidate"]], i["references"]) for i in made]
    most = max(len(i["references"]) for i in made)
    streams = [[i["references"][k] if k < len(i["references"]) else None for i in made] for k in range(most)]
    sacre = []
    for order in range(1, 5):
        metric = BLEU(tokenize="none", smooth_method="none", max_ngram_order=order, force=True)
        sacre.append(metric.corpus_score([i["candidate"] for i in made], streams).score / 100)
    nltk_scores = [
        float(nb.corpus_bleu([[r.split() for r in i["references"]] for i in made], [i["candidate"].split() for i in made], weights=[1 / n] * n))
        for n in range(1, 5)
    ]
    return {
        "kind": kind,
        "items": [[i["candidate"], *i["references"]] for i in made],
        "bleu": scores,
        # One picture alone has no document frequency: the package divides zero by zero.
        "cider": [None if np.isnan(v) else float(v) for v in each],
        "rouge": [float(v) for v in rouge],
        "sacrebleu": sacre,
        "nltk": nltk_scores,
    }


cases = [caption_case(kind, draw.randint(2, 9)) for kind in ["real"] * 34 + ["noise"] * 22 + ["disjoint"] * 4]
cases.append(caption_case("real", 1))


# ---- tokens
def treebank(text: str) -> list[str]:
    from nltk.tokenize.treebank import TreebankWordTokenizer

    drop = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";", '"'}
    brackets = dict(zip("()[]{}", "-lrb- -rrb- -lsb- -rsb- -lcb- -rcb-".split()))
    return [brackets.get(w, w) for w in TreebankWordTokenizer().tokenize(text.lower()) if w not in drop]


sentences = [
    "A man riding a wave on top of a surfboard.",
    "Two dogs, a cat and a bird: all asleep!",
    "The woman's dog doesn't like the dogs' toys.",
    "It's a black-and-white photo of a t-shirt",
    'A sign that says "no parking" on the street.',
    "A train (red) arrives at 10:30 with 1,000 people.",
    "They're going where we've been; he'd say I'm late.",
    "A pizza for $5 with 50% off",
    "You cannot see what's there, can you?",
    "Is this a 3.5 inch disk?",
    "She's gonna jump - again",
    "a group of people [blurry] {indoors}",
    "a cat & a dog",
    "",
]
sentences += [s.capitalize() + "." for s in (realistic() for _ in range(30))]


# ---- answers
class Holder:
    def __init__(self, qa):
        self.qa = qa

    def getQuesIds(self):
        return list(self.qa)


lavis_vqa = types.ModuleType("lavis_vqa")
exec((args.lavis / "lavis/common/vqa_tools/vqa_eval.py").read_text(), lavis_vqa.__dict__)
official = python2(args.vqa / "PythonEvaluationTools/vqaEvaluation/vqaEval.py")["VQAEval"]
contractions = list(official(Holder({}), Holder({})).contractions)
parts = (
    "yes no two Two one none zero ten 3 red blue the a an The dog's dont it's 'tis hot-dog hot dog 1,000 1,5 3.5 3. "
    "u.s. wi-fi (left) left/right left, right; what? really! \"stop\" stop @home #1 50% a+b c_d e=f <g> [h] {i} `j` k\\l "
    "tennis racket man's\tbag new\nline couldnt've Im I'dve somebody'd"
).split(" ")


def answer() -> str:
    words = [draw.choice(parts) for _ in range(draw.choice([1, 1, 1, 2, 2, 3]))]
    return draw.choice(["", "", " "]) + " ".join(words) + draw.choice(["", "", ".", " ", "\n"])


def accuracy(kind, said: str, people: list[str]) -> float:
    gts = {1: {"question_type": "q", "answer_type": "t", "answers": [{"answer": p, "answer_id": k} for k, p in enumerate(people)]}}
    judge = kind(Holder(gts), Holder({1: {"answer": said}}), n=12)
    with contextlib.redirect_stdout(io.StringIO()):
        judge.evaluate([1])
    return judge.accuracy["overall"] / 100


def answer_case(said: str, pool: list[str]) -> list:
    people = [draw.choice(pool) for _ in range(10)]
    return [said, people, accuracy(official, said, people), accuracy(lavis_vqa.VQAEval, said, people)]


answers = []
for at in range(420):
    said = answer()
    variants = [said, said.strip().lower(), said.strip() + ".", said.replace("-", " "), *(answer() for _ in range(draw.randint(0, 9)))]
    answers.append(answer_case(said, variants if at % 7 else [draw.choice(variants)]))
for at, word in enumerate(contractions):
    answers.append(answer_case(word, [word, f"the {word}", "no"] if at % 2 else ["yes", word.upper()]))
answers.append(answer_case("." * 40 + "x", ["x", "." * 8 + "x"]))


# ---- texts
processors = functions(
    args.lavis / "lavis/processors/blip_processors.py", {"pre_caption", "pre_question"}, {"re": re}
)
fifty = types.SimpleNamespace(max_words=50)
texts = [
    "  What is THIS?  ", "a man.riding#a (wave)", "Tabs\tand\n\nlines\n", "no;semi:colon~tilde*star!", 'a "quoted" word',
    "many   spaces   here ", "...", "word " * 60, "one. " * 55, "trailing newline\n", "trailing both \n ", "ÉCOLE. naïve!",
]
lavis_texts = [[t, processors["pre_caption"](fifty, t), processors["pre_question"](fifty, t)] for t in texts]


# ---- ranks
class NoFile:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, _):
        pass


itm_eval = functions(
    args.lavis / "lavis/tasks/retrieval.py",
    {"_report_metrics"},
    {
        "np": np, "json": json, "os": types.SimpleNamespace(path=types.SimpleNamespace(join=lambda *a: "")),
        "registry": types.SimpleNamespace(get_path=lambda _: ""), "open": lambda *_: NoFile(),
    },
)["_report_metrics"]


def retrieval_case(pictures: int, k: int, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    of = [p for p in range(pictures) for _ in range(int(rng.integers(1, 4)))]
    rng.shuffle(of)

    def unit(*shape):
        v = rng.normal(size=shape)
        return np.round(v / np.linalg.norm(v, axis=-1, keepdims=True), 4)

    queries = unit(pictures, 3, 6)
    vectors = np.round(0.35 * unit(len(of), 6) + queries[of, 0], 4)
    logits = np.round(rng.normal(size=(pictures, len(of))) + 1.5 * (np.array(of)[None] == np.arange(pictures)[:, None]), 3)
    sims = np.einsum("pqd,td->pqt", queries, vectors).max(1)

    def reranked(scores, itm):
        out = np.full(scores.shape, -100.0)
        for row, line in enumerate(scores):
            best = np.argsort(-line)[:k]
            out[row, best] = itm[row, best] + line[best]
        return out

    img2txt = {p: [t for t, own in enumerate(of) if own == p] for p in range(pictures)}
    keys = ("txt_r1", "txt_r5", "txt_r10", "img_r1", "img_r5", "img_r10")

    def report(i2t, t2i):
        found = itm_eval(i2t, t2i, dict(enumerate(of)), img2txt)
        return [found[key] / 100 for key in keys]

    return {
        "k": k, "pictureOf": of, "queries": queries.reshape(pictures, -1).tolist(), "vectors": vectors.tolist(),
        "logits": logits.tolist(), "itc": report(sims, sims.T),
        "itm": report(reranked(sims, logits), reranked(sims.T, logits.T)),
    }


golden = {
    "captions": cases,
    "tokens": [[s, treebank(s)] for s in sentences],
    "answers": answers,
    "texts": lavis_texts,
    "retrieval": [retrieval_case(14, 12, 1), retrieval_case(25, 16, 2), retrieval_case(30, 30, 3)],
}
Path(__file__).with_name("golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
print({key: len(value) for key, value in golden.items()}, file=sys.stderr)
