"""Trains nano's retrieval model (ITC and ITM) on an endless stream of fresh scenes. See README.md beside the folder."""

from pathlib import Path

import parallel
import retrieval_losses as L
import retrieval_model as R
from scene_stream import StatementBatcher

FALSES = 3


class Retrieval:
    """Statements, true and false: the task that `parallel.train` works on."""

    loss_weights = L.WEIGHTS
    stream_options = ("--falses", str(FALSES))

    def __init__(self, start, text, vision, nouns):
        self.start, self.vision = start, vision
        self.nouns, self.colours = len(nouns), 11
        self.modules = (R.load(start, text), R.Heads(self.nouns, self.colours))

    def batcher(self, side):
        return StatementBatcher(Path(self.start) / "tokenizer.json", side)

    def losses(self, modules, batch):
        return L.losses(*modules, batch, self.nouns, self.colours)

    def export(self, model, folder):
        R.export(model, folder, self.vision, self.start)


def main():
    p = parallel.parser(__doc__, questions=0)
    p.add_argument("--text", help="retrieval checkpoint whose text side to take when --start is nano")
    p.add_argument("--vision", required=True, help="nano: the checkpoint whose ViT is shared")
    args = p.parse_args()
    parallel.train(args, Retrieval(args.start, args.text, args.vision, parallel.nouns(args.node)))


if __name__ == "__main__":
    main()
