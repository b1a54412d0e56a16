"""Bringing the groups of a sensitive column together: what the classifiers of tables with `mitigate=` share."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers as kl

from apptemplates.contract import Part
from apptemplates.inference.columns import GROUP, MISSING
from apptemplates.losses import EvenChances
from apptemplates.policy import Policy

WAYS = (None, "thresholds", "penalty")
PENALTY = 2.742  # weight of uneven chances in the loss, times the parity, over the variance of the label
LEAST = 1e-3  # of that variance


def refuse(owner: str, mitigate: str | None, sensitive: Sequence[str], parity: float) -> None:
    """Checks the choices.

    Raises:
        ValueError: There is no such way, no group to bring together, or no such share of a gap.
    """
    if mitigate not in WAYS:
        raise ValueError(f"{owner}: mitigate must be 'thresholds', 'penalty' or None. Received: {mitigate!r}.")
    if mitigate is not None and not sensitive:
        raise ValueError(f"{owner}: mitigate={mitigate!r} needs to know whose groups; name sensitive=.")
    if not 0 <= parity <= 1:
        raise ValueError(f"{owner}: parity must lie between 0 and 1. Received: {parity!r}.")


def refuse_change(app: Any, policy: Policy) -> None:
    """Checks that a new policy can be followed.

    Raises:
        ValueError: Thresholds by group would have to be set anew, in a folder that was shared without the groups.
    """
    if app.is_fitted and app.mitigate == "thresholds" and policy != app.policy and "record group" not in app.valid_:
        raise ValueError(
            f"{app.name}: this folder was shared without the groups of its records, so that no thresholds by group "
            "can be set anew; set the policy before it is shared."
        )


def penalised(app: Any, target: np.ndarray, part: Part, truth: np.ndarray) -> np.ndarray:
    """What the members of an ensemble are to say (n, k), with flags of the groups (n, k + g), as the loss wants them.

    Args:
        app: A template with `sensitive`; what the loss must know is kept in its `learned_`.
        target: (n, k).
        part: Of these records.
        truth: (n,) 0 or 1.
    """
    column, known = part.records[app.sensitive[0]], app.learned_
    names = known.setdefault("groups", sorted(set(column.tolist()) - {""}))
    known.setdefault("variance of the label", float(np.var(truth)))
    flags = np.stack([column == name for name in names], axis=1)
    return np.concatenate([target, flags.astype("float32")], axis=1)


def penalty(app: Any, members: int) -> keras.losses.Loss:
    """The loss of an ensemble whose chances are to differ little between groups; after `penalised`."""
    return EvenChances(members, PENALTY * app.parity / max(LEAST, app.learned_["variance of the label"]))


def group_input(column: np.ndarray) -> tuple[list[str], Any, Any]:
    """The groups that have a threshold of their own, an input that names one, and its flags (n, 1 + groups).

    Args:
        column: (n,) words of held-out rows; the first flag is for any other.
    """
    names = sorted(set(column.astype(str).tolist()) - {MISSING})
    entry = keras.Input((), dtype="string", name=GROUP)
    return names, entry, kl.StringLookup(vocabulary=names, output_mode="one_hot", name="threshold_group_words")(entry)


def in_order(names: Sequence[str], of_group: Mapping[str, float]) -> list[float]:
    """The offset of the log odds of each flag of `group_input`."""
    return [0.0, *(of_group.get(name, 0.0) for name in names)]
