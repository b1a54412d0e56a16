"""What a language model keeps of the text it learned from: counted n-grams, and tokens to learn again from."""

from typing import NamedTuple

import numpy as np

from apptemplates.data.table import Table
from apptemplates.inference import kneser_ney
from apptemplates.inference.kneser_ney import Counted, KneserNey, compact
from apptemplates.inference.text_generator import counts_of

REPLAYED = 1_000_000  # tokens that are kept, so that fine-tuning does not forget


class Memory(NamedTuple):
    """What a text generator keeps of what it learned from: counted n-grams, and tokens to learn again from."""

    counts: Counted | None = None
    replay: np.ndarray = np.zeros(0, np.uint16)

    @classmethod
    def opened(cls, arrays: Table) -> "Memory":
        """The memory whose `arrays` these are; an empty one of none."""
        if not arrays:
            return cls()
        return cls(counts_of(arrays), arrays.get("replay", cls().replay))

    def arrays(self, share: bool) -> Table:
        """What the same memory can be made from again; with `share` without the tokens, which are somebody's text."""
        if self.counts is None:
            return {}
        arrays = {f"counts {name}": column for name, column in self.counts.arrays().items()}
        return arrays if share else arrays | {"replay": compact(self.replay)}

    @property
    def counted(self) -> Counted:
        """The counted n-grams of a model that has learned."""
        assert self.counts is not None
        return self.counts

    def grown(self, stream: np.ndarray, held_out: np.ndarray, order: int, tokens: int) -> "Memory":
        """The memory once more text was learned, which counts for itself and with what was learned before.

        Args:
            stream: (m,) the tokens of that text; of a very long one, which stays in a file, what can be counted is.
            held_out: (k,) tokens by which it is found how much of a say the newer text has.
            order: Tokens of the longest n-gram.
            tokens: How many different ones there are by now.
        """
        before = self.replay
        counts: Counted = KneserNey.fit(stream[: kneser_ney.MOST], order, tokens)
        if self.counts is not None:
            both: Counted = self.counts.widened(tokens)
            if len(before):
                both = KneserNey.fit(np.concatenate([before, stream[: kneser_ney.MOST]]), order, tokens)
            counts = kneser_ney.blended(counts, both, held_out)
        if self.counts is None or len(before):
            before = np.concatenate([before, stream[:REPLAYED]])[-REPLAYED:]
        return Memory(counts, before)
