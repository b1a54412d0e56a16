"""What a person gives for the choices of a template: settled to the field's type, or refused in one sentence."""

import types
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from apptemplates.data.splits import span
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


def within(owner: str, name: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuses a number that is not in low..high; the unit follows the range in the message.

    Raises:
        ValueError: It is not.
    """
    if not low <= value <= high:
        raise ValueError(f"{owner}: {name} must be {low:,} to {high:,}{unit}. Received: {value!r}.")


def lengths(owner: str, name: str, durations: Iterable[str]) -> list[int]:
    """Stretches of time such as "7D" in microseconds.

    Raises:
        ValueError: One can not be read.
    """
    try:
        return [int(span(duration).astype("int64")) for duration in durations]
    except ValueError as error:
        raise ValueError(f"{owner}: {name}: {str(error).rstrip('.')}.") from None


def different_lengths(owner: str, name: str, durations: tuple[str, ...]) -> None:
    """Refuses stretches of time that are equal or 0."""
    found = lengths(owner, name, durations)
    if 0 in found or len(set(found)) < len(found):
        raise ValueError(f"{owner}: {name} must be of different lengths above 0. Received: {durations}.")


def one_role_each(owner: str, roles: Mapping[str, Any], together: Collection[tuple[str, str]] = ()) -> None:
    """Refuses a column that is named twice.

    Args:
        owner: Name of the template.
        roles: Role to a column, several or None.
        together: Pairs of roles, in their order, that one column may have both.
    """
    taken: dict[str, str] = {}
    for role, chosen in roles.items():
        for column in (chosen,) if isinstance(chosen, str) else chosen or ():
            if column in taken and (taken[column], role) not in together:
                raise ValueError(
                    f"{owner}: column {column!r} is named in {taken[column]}= and again in {role}=; "
                    "each column has one role."
                )
            taken[column] = role
