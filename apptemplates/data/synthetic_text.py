"""Made-up text to try language models on: short stories of a small grammar, so that there is something to learn."""

import numpy as np

from apptemplates.data.table import Table
from apptemplates.inference.text_generator import Shape

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


def one_step(shape: Shape, tokens: int, seed: int) -> Table:
    """Made-up inputs of one step of a language model: no text, and nothing kept but a little noise.

    Args:
        shape: Of the model.
        tokens: How many different ones there are.
        seed: The same seed gives the same inputs.

    Returns:
        Two rows of what `layers.text.step` takes.
    """
    rng, number = np.random.default_rng(seed), 2
    found = {
        "tokens": rng.integers(0, tokens, (number, shape.before + 1)).astype("int32"),
        "place": np.full(number, 2, "int32"),
        "counted": np.full((number, tokens), 1 / tokens, "float32"),
        "matched": rng.integers(0, shape.order, number).astype("int32"),
    }
    for block in range(shape.blocks):
        rows = np.zeros((number, shape.context, 2 * shape.width), "float32")
        rows[:, :2] = rng.normal(size=(number, 2, 2 * shape.width)).round(1)
        found[f"cache{block}"] = rows
    return found
