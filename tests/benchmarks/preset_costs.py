"""What fine-tuning a preset and writing titles with it costs, computed from the sizes of the networks.

    .venv/bin/python tests/benchmarks/preset_costs.py
    .venv/bin/python tests/benchmarks/preset_costs.py --body 144 --training-tflops 200 --writing-tflops 40

Nothing is measured: a multiplication and an addition count as 2 FLOP, and a GPU is assumed to reach a part of
its peak. A training step counts as three forward passes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The sizes of an encoder-decoder."""

    layers: int
    """number of layers of the encoder, and of the decoder"""
    hidden: int
    attention: int
    """size of all heads of an attention together"""
    feed_forward: int
    feed_forward_matrices: int
    """3 if the feed-forward part has a gate, otherwise 2"""
    vocabulary: int
    tables: int
    """number of tables of tokens: 2 if the last layer has one of its own, otherwise 1"""

    @property
    def _feed_forward(self) -> int:
        return self.feed_forward_matrices * self.hidden * self.feed_forward

    @property
    def _matrix(self) -> int:
        """Parameters of one of the four projections of an attention."""
        return self.hidden * self.attention

    @property
    def parameters(self) -> int:
        """Parameters of all matrices; norms and positions are left out."""
        encoder, decoder = 4 * self._matrix + self._feed_forward, 8 * self._matrix + self._feed_forward
        return self.layers * (encoder + decoder) + self.tables * self.vocabulary * self.hidden

    def reading(self, body: int) -> float:
        """FLOP to encode a body, with the keys and values that the decoder reads."""
        matrices = 6 * self._matrix + self._feed_forward
        return body * self.layers * (2 * matrices + 4 * body * self.attention)

    def writing(self, tokens: int, body: int) -> float:
        """FLOP to compute the probabilities after `tokens` tokens of titles."""
        matrices = 6 * self._matrix + self._feed_forward
        return tokens * (
            self.layers * (2 * matrices + 4 * body * self.attention) + 2 * self.hidden * self.vocabulary
        )


PRESETS = {
    "hf://google/flan-t5-small": Sizes(8, 512, 384, 1024, 3, 32128, tables=2),
    "hf://google/flan-t5-base": Sizes(12, 768, 768, 2048, 3, 32128, tables=2),
    "hf://facebook/bart-base": Sizes(6, 768, 768, 3072, 2, 50265, tables=1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--body", type=int, default=256, help="tokens of a body")
    parser.add_argument("--title", type=int, default=24, help="tokens of a title in training, with padding")
    parser.add_argument("--written", type=int, default=12, help="tokens of a title that is written")
    parser.add_argument("--beam", type=int, default=4, help="number of candidate titles")
    parser.add_argument("--training-tflops", type=float, default=100, help="of a GPU, in training")
    parser.add_argument("--writing-tflops", type=float, default=20, help="of a GPU, when it writes titles")
    options = parser.parse_args()
    columns = ("GFLOP per pair", "minutes per million pairs", "GFLOP per title", "minutes per million titles")
    print(f"| preset | million parameters | {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|")
    for name, sizes in PRESETS.items():
        reading = sizes.reading(options.body)
        pair = 3 * (reading + sizes.writing(options.title, options.body))
        title = reading + sizes.writing(options.beam * options.written, options.body)
        minutes = [
            flop * 1e6 / (tflops * 1e12) / 60
            for flop, tflops in ((pair, options.training_tflops), (title, options.writing_tflops))
        ]
        print(
            f"| `{name}` | {sizes.parameters / 1e6:.0f} | {pair / 1e9:.0f} | {minutes[0]:.0f} "
            f"| {title / 1e9:.0f} | {minutes[1]:.0f} |"
        )


if __name__ == "__main__":
    main()
