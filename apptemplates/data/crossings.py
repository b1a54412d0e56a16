"""What stands on both sides of a split, where it flatters every number: copies, near copies, people, and times."""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from apptemplates.contract import WEIGHT, Part
from apptemplates.data import near_copies, near_texts
from apptemplates.data.fingerprint import is_media, row_marks, seen_before
from apptemplates.data.preflight import Finding
from apptemplates.data.table import Table, rows

OWNERS = ("group", "patient", "speaker", "person")  # roles whose column says who a record belongs to


def findings(app: Any, train: Part, held_out: Part, given: bool) -> list[Finding]:
    """What is found on both sides.

    Args:
        app: The template that learns.
        train: What is learned from.
        held_out: What is judged by.
        given: Whether the user gave the two, so that their times may overlap.
    """
    found = [*copies(train, held_out), *near(app, train, held_out), *owners(app, train.records, held_out.records)]
    return [*found, *times(app, train.records, held_out.records)] if given else found


def copies(train: Part, held_out: Part) -> Iterator[Finding]:
    """Records held out that are exact copies of some that are learned from."""
    known = row_marks(plain(train.records), train.inputs, most=sys.maxsize)
    seen = seen_before(plain(held_out.records), held_out.inputs, known)
    if seen is not None and seen.any():
        number, count = int(seen.sum()), len(seen)
        yield Finding(
            "copies-across-the-split", "warning" if number > 0.01 * count else "note", "held-out records",
            f"{number:,} of {count:,} held-out records are exact copies of some that are learned from, first the one "
            f"in row {int(seen.argmax())}.",
            "Leave them out of one of the two: what is known by heart flatters every number.",
        )  # fmt: skip


def near(app: Any, train: Part, held_out: Part) -> Iterator[Finding]:
    """Pictures, sounds or passages held out that are nearly the same as some that are learned from."""
    pairs, what = np.empty((0, 2), int), "record"
    for name, media in train.inputs.items():
        other = held_out.inputs.get(name)
        if other is not None and is_media(media) and app._media:
            what = "picture" if media.dtype == np.uint8 else "sound"
            pairs = near_copies.pairs_across(media, other)
    if app._prose:
        what = "passage"
        texts = [[str(one) for one in part.records[app._prose]] for part in (train, held_out)]
        pairs = near_texts.pairs_across(*texts)
    if len(pairs):
        number = len(np.unique(pairs[:, 1]))
        yield Finding(
            "near-copies-across-the-split", "warning" if number > 0.01 * rows(held_out.records) else "note",
            "held-out records",
            f"{number:,} {what}s that are held out are nearly the same as some that are learned from, such as row "
            f"{pairs[0, 1]} and row {pairs[0, 0]} of those.",
            f"Keep both of each pair on one side, lest nearly the same {what} is learned from and judged by.",
        )  # fmt: skip


def owners(app: Any, train: Table, held_out: Table) -> Iterator[Finding]:
    """People, patients or other groups with records on both sides."""
    for role in OWNERS:
        column = getattr(app, role, None)
        if column is None or column not in train:
            continue
        first, second = (set(part[column].astype(str).tolist()) - {""} for part in (train, held_out))
        both = first & second
        if both:
            yield Finding(
                "groups-across-the-split", "warning", column,
                f"{len(both):,} of {len(second):,} held-out values of column {column!r} stand among what is learned "
                "from, too.",  # none is named: findings are saved, and these may be people
                "Hold out whole groups, or leave validation away: then they are split so.",
            )  # fmt: skip


def times(app: Any, train: Table, held_out: Table) -> Iterator[Finding]:
    """Records held out from before the end of those that are learned from."""
    column = getattr(app, "time", None)
    if column is None or column not in train:
        return
    early = held_out[column] < np.max(train[column])
    if early.any():
        yield Finding(
            "times-across-the-split", "warning", column,
            f"{int(early.sum()):,} of {len(early):,} held-out records are from before the end of those that are "
            f"learned from ({str(np.max(train[column]))[:19]}).",
            "Hold out the latest records, as the model will meet them, or leave validation away.",
        )  # fmt: skip


def plain(records: Table) -> Table:
    """The records without their weights."""
    return {name: column for name, column in records.items() if name != WEIGHT}
