"""Bringing the groups of a sensitive column together: what the classifiers of tables with `mitigate=` share."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import layers as kl

from apptemplates.contract import Part
from apptemplates.data.schema import Field, Schema
from apptemplates.data.table import Table
from apptemplates.inference.columns import GROUP, MISSING
from apptemplates.layers.decision import ByGroup
from apptemplates.layers.ensemble import member_targets
from apptemplates.losses import EvenChances

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


def refuse_change(owner: str, mitigate: str | None, known: Table) -> None:
    """Checks that a fitted template can follow another policy.

    Args:
        owner: Its name.
        mitigate: Its way.
        known: What it decides by.

    Raises:
        ValueError: Thresholds by group would have to be set anew, in a folder that was shared without the groups.
    """
    if mitigate == "thresholds" and "record group" not in known:
        raise ValueError(
            f"{owner}: this folder was shared without the groups of its records, so that no thresholds by group "
            "can be set anew; set the policy before it is shared."
        )


# ---- columns -----------------------------------------------------------------


def audited(sensitive: Sequence[str]) -> dict[str, Field]:
    """The columns of groups as fields of a record."""
    return dict.fromkeys(sensitive, Field("group for the audit", "category", missing=True, sensitive=True))


def asked(record: Schema, own: str | None) -> dict[str, Field]:
    """The fields of a query: those of a record without their roles, and of groups those alone that decide.

    Args:
        record: What is learned from.
        own: The column whose groups have thresholds of their own, or None.
    """
    kept = {name: entry for name, entry in record.items() if not entry.sensitive or name == own}
    return {name: replace(entry, role="") for name, entry in kept.items()}


# ---- chances that differ less --------------------------------------------------


def penalty_column(mitigate: str | None, sensitive: Sequence[str]) -> str | None:
    """The column whose groups' chances are to differ little; None where the loss compares none."""
    return sensitive[0] if mitigate == "penalty" else None


def targets(
    truth: np.ndarray, features: np.ndarray, part: Part, members: int, group: str | None, learned: dict[str, Any]
) -> np.ndarray:
    """What each member of an ensemble is to say (n, k), as the loss of `loss_of` wants it.

    Args:
        truth: (n,) 0 or 1.
        features: (n, d) float32.
        part: Of these records.
        members: How many.
        group: The column whose groups' chances are to differ little, or None.
        learned: Where what the loss must know is kept.
    """
    target = member_targets(truth, members, part.teacher, features)
    return target if group is None else penalised(target, truth, part.records[group], learned)


def penalised(target: np.ndarray, truth: np.ndarray, groups: np.ndarray, learned: dict[str, Any]) -> np.ndarray:
    """Targets with flags of the groups behind them (n, k + g): the loss must know whose chances it compares.

    Args:
        target: (n, k).
        truth: (n,) 0 or 1.
        groups: (n,) names, "" where nobody knows.
        learned: What the loss must know is kept here the first time, and taken from here later.
    """
    names = learned.setdefault("groups", sorted(set(groups.tolist()) - {""}))
    learned.setdefault("variance of the label", float(np.var(truth)))
    flags = np.stack([groups == name for name in names], axis=1)
    return np.concatenate([target, flags.astype("float32")], axis=1)


def loss_of(mitigate: str | None, members: int, parity: float, learned: Mapping[str, Any]) -> keras.losses.Loss:
    """The loss of an ensemble; with "penalty" the chances are to differ little between groups.

    Args:
        mitigate: The way.
        members: How many.
        parity: Share of the gap that is to be closed.
        learned: What `targets` kept.
    """
    if mitigate != "penalty":
        return keras.losses.BinaryCrossentropy(from_logits=True)
    return EvenChances(members, PENALTY * parity / max(LEAST, learned["variance of the label"]))


# ---- thresholds by group -------------------------------------------------------


class Grouped(NamedTuple):
    """What thresholds by group add to a decision that is built; nothing where all rows share one.

    Args:
        entries: The graph's input that names a row's group.
        flags: The argument of a layer `ByGroup` that is made of it.
        groups: Number of flags.
        learned: The names, in their order.
        known: The groups of the held-out rows, by which thresholds are set.
    """

    entries: dict[str, Any]
    flags: dict[str, Any]
    groups: int
    learned: dict[str, list[str]]
    known: Table

    @classmethod
    def of(cls, inputs: Table) -> "Grouped":
        """Those of prepared held-out rows, whose groups are in the input `GROUP` if thresholds differ."""
        if GROUP not in inputs:
            return cls({}, {}, 0, {}, {})
        names, entry, flags = group_input(inputs[GROUP])
        learned, known = {"threshold groups": names}, {"record group": inputs[GROUP].astype(object)}
        return cls({GROUP: entry}, {"group": flags}, len(names) + 1, learned, known)


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


def offsets(inputs: Table, names: Sequence[str], layer: ByGroup) -> np.ndarray | float:
    """What is added to the margin of each prepared row (n,) for its group; 0 where all share one threshold.

    Args:
        inputs: Prepared rows.
        names: Of the groups, as `group_input` gave them.
        layer: Holds the offsets.
    """
    if GROUP not in inputs:
        return 0.0
    found = dict(zip(names, layer.of_group.numpy()[1:], strict=True))
    return np.array([found.get(name, 0.0) for name in inputs[GROUP]])
