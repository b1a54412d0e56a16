"""Made-up text to try language models on: short stories of a small grammar, so that there is something to learn."""

import numpy as np

from apptemplates.data.table import Table

WHO = ("the fox", "a child", "the miller", "an old bear", "the queen", "a sailor")
DID = ("found", "lost", "carried", "painted", "followed", "forgot")
WHAT = ("a lantern", "the key", "seven apples", "a letter", "the drum", "a blue boat")
WHERE = ("in the garden", "by the river", "under the bridge", "at the market", "behind the mill")
THEN = ("and laughed", "and went home", "and told nobody", "and fell asleep", "and sang")


def stories(number: int = 300, seed: int = 0) -> Table:
    """Stories of two to four sentences each; who appears first stays, so that what was said before matters.

    Args:
        number: How many.
        seed: The same seed gives the same stories.

    Returns:
        Column text (str).

    Example:
        >>> list(stories(3))
        ['text']
    """
    rng = np.random.default_rng(seed)
    found = np.empty(number, object)
    for row in range(number):
        who = rng.choice(WHO)
        lines = []
        for place in range(rng.integers(2, 5)):
            name = who if place % 2 == 0 else "then " + who
            line = f"{name} {rng.choice(DID)} {rng.choice(WHAT)} {rng.choice(WHERE)} {rng.choice(THEN)}."
            lines.append(line[0].upper() + line[1:])
        found[row] = " ".join(lines) + "\n"
    return {"text": found}
