"""Trains nano, the generation model, on an endless stream of fresh scenes. See README.md beside the folder."""

from pathlib import Path

import losses as L
import model as M
import parallel
from scene_stream import Batcher, Vocabulary


class Captions:
    """Captions and questions: the task that `parallel.train` works on."""

    loss_weights = L.WEIGHTS
    stream_options = ()

    def __init__(self, start, nouns):
        self.start = start
        self.vocabulary = Vocabulary(nouns)
        self.modules = (M.load(start), M.Heads(len(nouns), self.vocabulary.colours))

    def batcher(self, side):
        return Batcher(Path(self.start) / "tokenizer.json", self.vocabulary.shared, side)

    def losses(self, modules, batch):
        model, heads = modules
        seen = M.forward(model, batch)
        return L.losses(model, heads, seen, batch, len(self.vocabulary.nouns), self.vocabulary.colours)

    def export(self, model, folder):
        M.export(model, folder, self.start)


if __name__ == "__main__":
    args = parallel.parser(__doc__, questions=4).parse_args()
    parallel.train(args, Captions(args.start, parallel.nouns(args.node)))
