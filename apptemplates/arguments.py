"""What a person gives for the choices of a template: settled to the field's type, or refused in one sentence."""

import types
import typing
from collections.abc import Mapping
from typing import Any

from apptemplates.policy import Policy

WORDS = {
    int: "an integer",
    float: "a number",
    bool: "True or False",
    str: "text",
    tuple: "names such as ('a', 'b')",
    dict: "a dict such as {'a': 'b'}",
    Policy: "a Policy such as at.Policy(cost_of_miss=100)",
    types.NoneType: "None",
}
LEAST = {"epochs": 1, "batch_size": 1, "seed": 0}  # of the choices that every template has


def settle(owner: str, name: str, hint: Any, value: Any) -> Any:
    """The value of a field as its type wants it: one name is a tuple of one, a list a tuple, a dict a `Policy`.

    Args:
        owner: Name of the template, for the message.
        name: Of the field.
        hint: Its type.
        value: What was given.

    Raises:
        ValueError: It is of another type, or out of range.
    """
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    kinds = [typing.get_origin(kind) or kind for kind in (typing.get_args(hint) if union else (hint,))]
    if not all(kind in WORDS for kind in kinds):
        return value
    given = value
    if tuple in kinds:
        value = () if value is None else (value,) if isinstance(value, str) else value
        value = tuple(value) if isinstance(value, list) else value
    if Policy in kinds and isinstance(value, Mapping):
        value = Policy(**value)
    wanted = " or ".join(WORDS[kind] for kind in kinds)
    fits = any(isinstance(value, (int, float) if kind is float else kind) for kind in kinds)
    if isinstance(value, bool) and bool not in kinds:
        fits = False
    if isinstance(value, tuple):
        fits = fits and all(isinstance(entry, str) for entry in value)
    if isinstance(value, dict):
        fits = fits and all(isinstance(entry, str) for pair in value.items() for entry in pair)
    if name in LEAST:
        wanted += f" >= {LEAST[name]}"
        fits = fits and value >= LEAST[name]
    if name == "seed":  # what the random generators of NumPy and TensorFlow take
        wanted += " and below 2**32"
        fits = fits and value < 2**32
    if name == "learning_rate":
        wanted += " above 0"
        fits = fits and 0 < value < float("inf")
    if not fits:
        raise ValueError(f"{owner}: {name} must be {wanted}. Received: {given!r}.")
    return value
