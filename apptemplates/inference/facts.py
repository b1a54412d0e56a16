"""What the payments before one say of it: how many, how much, how usual, how often fraud. NumPy only.

The formulas stand once, for whole columns of payments by NumPy and for a single one by Python's own numbers, whose
arithmetic is the same to the last bit and takes a tenth of the time that NumPy needs for arrays of one.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

UNKNOWN = -1  # the label of a payment nobody has judged yet
DAY = 86_400_000_000  # microseconds, the resolution of every time here
LAST = (3, 10)  # of so many known payments the fraud rate is told too
LARGEST = 1e10  # larger amounts count as this, or one of them would blur the sums of all others


class Log(NamedTuple):
    """Payments sorted by time (within an entity), with sums over all that stand before."""

    time: np.ndarray  # (n,) int64 microseconds
    amount: np.ndarray  # (n,) float64
    label: np.ndarray  # (n,) int8: 0, 1 or UNKNOWN
    row: np.ndarray  # (n,) int64: number of the payment among all
    sums: np.ndarray  # (8, n + 1): amount, its square, both of frauds alone, among those before; coarse, then the rest
    counts: np.ndarray  # (2, n + 1) int32: judged, fraud among those before
    last: np.ndarray  # (2, n + 1) int64: position of the latest good one and fraud among those before, -1 for none
    next_fraud: np.ndarray  # (n + 1,) int64: position of the first fraud from here on, n for none

    @classmethod
    def of(cls, time: np.ndarray, amount: np.ndarray, label: np.ndarray, row: np.ndarray) -> "Log":
        n, fraud, paid = len(time), label == 1, np.minimum(amount, LARGEST)
        sums, counts = np.zeros((8, n + 1)), np.zeros((2, n + 1), "int32")
        for place, values in enumerate((paid, paid * paid, paid * fraud, paid * paid * fraud)):
            # sums of large numbers lose the cents: multiples of a unit so large that they add up exactly, and the rest
            unit = 2.0 ** (np.frexp(np.abs(values).sum())[1] - 52)
            coarse = np.rint(values / unit) * unit
            np.cumsum(coarse, out=sums[place, 1:])
            np.cumsum(values - coarse, out=sums[4 + place, 1:])
        np.cumsum(label != UNKNOWN, out=counts[0, 1:])
        np.cumsum(fraud, out=counts[1, 1:])
        places, last, next_fraud = np.arange(n), np.full((2, n + 1), -1), np.full(n + 1, n)
        np.maximum.accumulate(np.where(label == 0, places, -1), out=last[0, 1:])
        np.maximum.accumulate(np.where(fraud, places, -1), out=last[1, 1:])
        next_fraud[:n] = np.minimum.accumulate(np.where(fraud, places, n)[::-1])[::-1]
        return cls(time, amount, label, row, sums, counts, last, next_fraud)


class Arrays:
    """Arithmetic of many payments: columns of a log are looked up at arrays of places (n,)."""

    least, most, where, root = np.minimum, np.maximum, np.where, np.sqrt

    @staticmethod
    def at(column: np.ndarray, place: Any) -> Any:
        """What stands there; beyond an end, what stands at the end."""
        return column.take(place, mode="clip")

    within = at  # as fast where nothing is beyond an end


class Floats:
    """Arithmetic of one payment, of Python's numbers."""

    least, most, root = min, max, math.sqrt

    @staticmethod
    def where(flag: bool, yes: Any, no: Any) -> Any:
        """One of two, as NumPy's."""
        return yes if flag else no

    @staticmethod
    def at(column: np.ndarray, place: int) -> Any:
        """What stands there; beyond an end, what stands at the end."""
        return column.item(min(max(place, 0), len(column) - 1))

    @staticmethod
    def within(column: np.ndarray, place: int) -> Any:
        """What stands there, which is known to be no place beyond an end."""
        return column.item(place)


def facts(
    on: type[Arrays] | type[Floats],
    log: Log,
    places: Sequence[Any] | np.ndarray,
    time: Any,
    amount: Any,
    spans: Sequence[int],
    delay: int,
    labelled: bool,
) -> list[Any]:
    """The facts of payments, in the order of `History.names`.

    Args:
        on: The arithmetic.
        log: Where their entities' payments stand.
        places: How many of the log stand before each moment that is looked back to: the payment itself, the start of
            each window; then the same before the delay. A whole number each, or (n,).
        time, amount: Of the payments: numbers, or (n,).
        spans: Microseconds of each window, the shortest first.
        delay: Microseconds until a label is known.
        labelled: Whether there are labels.

    Returns:
        Numbers, or (n,) each.
    """
    at, within, least, most, where = on.at, on.within, on.least, on.most, on.where
    looks, longest = len(places) // 2, spans[-1]
    here, opened, judged, before = places[0], places[1:looks], places[looks], places[looks + 1 :]
    oldest, amount = before[-1], least(amount, LARGEST)
    sums, counts = list(log.sums), list(log.counts)

    def limited(ratio: Any) -> Any:
        return least(most(ratio, 0), 100)

    def summed(what: int, start: Any, stop: Any) -> Any:
        coarse, rest = sums[what], sums[4 + what]
        return within(coarse, stop) - within(coarse, start) + (within(rest, stop) - within(rest, start))

    # in each window, the payment left out
    number = [here - start for start in opened]
    total = [summed(0, start, here) for start in opened]
    found: list[Any] = []
    for many, much in zip(number, total, strict=True):
        found += [many + 1, (much + amount) / (many + 1)]

    # what is usual: the longest window without the frauds that are known by now
    bad_from = least(opened[-1], judged)
    good = number[-1] - (within(counts[1], judged) - within(counts[1], bad_from))
    many = most(good, 1)
    usual = most(total[-1] - summed(2, bad_from, judged), 0) / many
    square = summed(1, opened[-1], here) - summed(3, bad_from, judged)
    variance = where(good > 1, most(square / many - usual * usual, 0), 0)
    spread = on.root(variance + 0.01 * usual * usual + 1e-9)
    found += [usual, on.root(variance), where(good > 0, limited(amount / (usual + 1e-9)), 1)]
    found.append(where(good > 1, least(most((amount - usual) / spread, -100), 100), 0))
    for many, much in zip(number[:-1], total[:-1], strict=True):
        level = limited(much / most(many, 1) / (usual + 1e-9))
        found.append(where((many > 0) & (good > 0), level, 1))
    found.append(where(number[-1] > 0, time - at(log.time, here - 1), longest) / DAY)
    if not labelled:
        return found

    known, frauds = within(counts[0], judged), within(counts[1], judged)
    for start in before:
        seen = known - within(counts[0], start)
        found += [seen, (frauds - within(counts[1], start)) / most(seen, 1)]
    last_good, last_fraud = within(log.last[0], judged), within(log.last[1], judged)
    first_fraud = within(log.next_fraud, oldest)
    began = within(log.next_fraud, most(at(log.last[0], last_fraud) + 1, oldest))
    for there, place in (
        (last_fraud >= oldest, last_fraud),
        (last_good >= oldest, last_good),
        (first_fraud < judged, first_fraud),
        (last_fraud >= oldest, began),
    ):
        found.append(where(there, time - at(log.time, place), longest + delay) / DAY)
    # since the last fraud all judged ones were good, and the other way round
    found += [known - within(counts[0], most(last + 1, oldest)) for last in (last_fraud, last_good)]
    for k in LAST:
        start = most(judged - k, oldest)
        found.append((frauds - within(counts[1], start)) / most(known - within(counts[0], start), 1))
    return found


# stands for an unknown entity: its one row is never within, but every place can be looked up
NOTHING = Log.of(np.zeros(1, "int64"), np.zeros(1), np.zeros(1, "int8"), np.zeros(1, "int64"))
