"""What the past of a card, a terminal or any other entity says about a new payment.

One set of formulas serves whole tables (everything sorted once, prefix sums, binary searches) and a single payment (the
same formulas on the few rows of its own entities), so that both give the same features. NumPy only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from apptemplates.data.splits import span

UNKNOWN = -1  # the label of a payment nobody has judged yet
DAY = 86_400_000_000  # microseconds, the resolution of every time here
LAST = (3, 10)  # of so many known payments the fraud rate is told too
FEW = 32  # payments that are added one by one; more are sorted in together


def microseconds(duration: str) -> int:
    """`"7D"` or `"12h"` in microseconds."""
    return int(span(duration).astype("int64"))


class Log(NamedTuple):
    """Payments sorted by time (within an entity), with sums over all that stand before."""

    time: np.ndarray  # (n,) int64 microseconds
    amount: np.ndarray  # (n,) float64
    label: np.ndarray  # (n,) int8: 0, 1 or UNKNOWN
    row: np.ndarray  # (n,) int64: number of the payment among all
    sums: np.ndarray  # (n + 1, 5): amount, its square, judged, fraud, fraud's amount among those before
    last_fraud: np.ndarray  # (n + 1,) int64: position of the latest fraud among those before, -1 for none
    last_good: np.ndarray  # (n + 1,) int64: the same of the latest payment judged to be none
    next_fraud: np.ndarray  # (n + 1,) int64: position of the first fraud from here on, n for none

    @classmethod
    def of(cls, time: np.ndarray, amount: np.ndarray, label: np.ndarray, row: np.ndarray) -> "Log":
        n, fraud = len(time), label == 1
        sums = np.zeros((n + 1, 5), np.longdouble)  # long sums of large amounts would lose the cents
        for column, values in enumerate((amount, amount * amount, label != UNKNOWN, fraud, amount * fraud)):
            np.cumsum(values, out=sums[1:, column])
        last_fraud, last_good, next_fraud = np.full(n + 1, -1), np.full(n + 1, -1), np.full(n + 1, n)
        places = np.arange(n)
        np.maximum.accumulate(np.where(fraud, places, -1), out=last_fraud[1:])
        np.maximum.accumulate(np.where(label == 0, places, -1), out=last_good[1:])
        next_fraud[:n] = np.minimum.accumulate(np.where(fraud, places, n)[::-1])[::-1]
        return cls(time, amount, label, row, sums, last_fraud, last_good, next_fraud)


class Sorted(NamedTuple):
    """All payments sorted by one entity and time."""

    log: Log
    starts: np.ndarray  # (entities + 1,) where each entity's payments begin


class History:
    """Past payments by entity: grows by `add`, says what it knows by `features`.

    Args:
        entities: Names of the entity columns.
        windows: Lengths that are looked back over, such as `("1D", "7D", "30D")`.
        delay: Time until a label is known: the label of time s serves payments from s + delay on.
        labelled: Whether there are labels at all; without them nothing is said of frauds.
    """

    def __init__(self, entities: Sequence[str], windows: Sequence[str], delay: str, labelled: bool) -> None:
        self.entities, self.windows, self.labelled = tuple(entities), tuple(windows), labelled
        self.spans = np.array([microseconds(w) for w in windows], "int64")
        self.delay = microseconds(delay)
        self.horizon = int(self.spans.max(initial=0)) + self.delay  # nothing older is ever looked at
        self.codes: list[dict[str, int]] = [{} for _ in self.entities]
        self._time, self._amount = np.zeros(0, "int64"), np.zeros(0)
        self._label, self._entity = np.zeros(0, "int8"), np.zeros((len(self.entities), 0), "int64")
        self._sort()

    def __len__(self) -> int:
        return len(self._time) + len(self._late)

    def _sort(self) -> None:
        rows = np.arange(len(self._time))
        self._sorted = [
            sort(self._time, self._amount, self._label, rows, code, len(known))
            for code, known in zip(self._entity, self.codes, strict=True)
        ]
        self._own: list[dict[int, Log]] = [{} for _ in self.entities]  # entities that grew since
        self._late: list[list] = []  # [time, amount, label, codes] added one by one since

    def _settle(self) -> None:
        """Sorts in what was added one by one."""
        if not self._late:
            return
        time, amount, label, entity = zip(*self._late, strict=True)
        self._time = np.append(self._time, np.array(time, "int64"))
        self._amount = np.append(self._amount, np.array(amount, "float64"))
        self._label = np.append(self._label, np.array(label, "int8"))
        self._entity = np.append(self._entity, np.array(entity, "int64").reshape(-1, len(self.entities)).T, axis=1)
        self._sort()

    # ---- growing -----------------------------------------------------------

    def encode(self, keys: Sequence[np.ndarray], grow: bool) -> np.ndarray:
        """Numbers (entities, n) of entity names; unknown ones get new numbers, kept only where the history grows."""
        coded = np.zeros((len(self.entities), len(keys[0]) if len(keys) else 0), "int64")
        for i, (names, known) in enumerate(zip(keys, self.codes, strict=True)):
            known = known if grow else _Extended(known)
            coded[i] = [known.setdefault(name, len(known)) for name in names]
        return coded

    def add(self, time: np.ndarray, amount: np.ndarray, label: np.ndarray, keys: Sequence[np.ndarray]) -> "History":
        """A new history of these and more payments; a label that comes late finds its payment and judges it.

        A payment already there (same time, amount and entities) whose label was unknown takes the new label.

        Args:
            time: (n,) int64 microseconds.
            amount: (n,) float64.
            label: (n,) int8, 0, 1 or UNKNOWN.
            keys: For each entity (n,) names.
        """
        self._settle()
        grown = History(self.entities, (), "0D", self.labelled)
        grown.windows, grown.spans, grown.delay, grown.horizon = self.windows, self.spans, self.delay, self.horizon
        grown.codes = [dict(known) for known in self.codes]
        codes = grown.encode(keys, grow=True)
        fresh, judged = self._late_labels(time, amount, label, codes)
        grown._time = np.append(self._time, time[fresh])
        grown._amount = np.append(self._amount, amount[fresh])
        grown._label = np.append(judged, label[fresh])
        grown._entity = np.append(self._entity, codes[:, fresh], axis=1)
        grown._sort()
        return grown

    def note(self, time: np.ndarray, amount: np.ndarray, label: np.ndarray, keys: Sequence[np.ndarray]) -> "History":
        """As `add`, but a few payments are put into this very history, in microseconds each."""
        if len(time) > FEW or not self.entities:
            return self.add(time, amount, label, keys)
        codes = self.encode(keys, grow=True)
        for i in range(len(time)):
            self._add_one(int(time[i]), float(amount[i]), int(label[i]), codes[:, i])
        return self

    def _late_labels(self, time: np.ndarray, amount: np.ndarray, label: np.ndarray, codes: np.ndarray) -> tuple:
        """Which of the payments are new, and the labels of the old ones, late ones filled in."""
        judged, fresh = self._label.copy(), np.ones(len(time), bool)
        waiting: dict[tuple, list[int]] = {}
        oldest = time.min(initial=np.iinfo("int64").max)
        for row in np.flatnonzero((self._label == UNKNOWN) & (self._time >= oldest)):
            key = (int(self._time[row]), float(self._amount[row]), *self._entity[:, row].tolist())
            waiting.setdefault(key, []).append(int(row))
        if waiting:
            for i in np.flatnonzero(label != UNKNOWN):
                rows = waiting.get((int(time[i]), float(amount[i]), *codes[:, i].tolist()))
                if rows:
                    judged[rows.pop(0)], fresh[i] = label[i], False
        return fresh, judged

    def _add_one(self, time: int, amount: float, label: int, codes: np.ndarray) -> None:
        logs = [self._log(i, int(code)) for i, code in enumerate(codes)]
        shared = None
        for log in logs if label != UNKNOWN else ():
            at = slice(*np.searchsorted(log.time, [time, time + 1]))
            same = (log.amount[at] == amount) & (log.label[at] == UNKNOWN)
            found = set(log.row[at][same].tolist())
            shared = found if shared is None else shared & found
        row = min(shared) if shared else len(self)
        if not shared:
            self._late.append([time, amount, label, codes.tolist()])
        elif row < len(self._time):
            self._label[row] = label
        else:
            self._late[row - len(self._time)][2] = label
        for i, (code, log) in enumerate(zip(codes, logs, strict=True)):
            if shared:
                labels = np.where(log.row == row, np.int8(label), log.label)
                fresh = Log.of(log.time, log.amount, labels, log.row)
            else:
                at = int(np.searchsorted(log.time, time, side="right"))
                parts = zip((log.time, log.amount, log.label, log.row), (time, amount, label, row), strict=True)
                fresh = Log.of(*(np.insert(column, at, value) for column, value in parts))
            self._own[i][int(code)] = fresh

    def _log(self, i: int, code: int) -> Log:
        """The payments of one entity."""
        log = self._own[i].get(code)
        if log is not None:
            return log
        whole, starts = self._sorted[i]
        if code >= len(starts) - 1:
            return NOTHING
        a, b = int(starts[code]), int(starts[code + 1])
        return Log(
            whole.time[a:b],
            whole.amount[a:b],
            whole.label[a:b],
            whole.row[a:b],
            whole.sums[a : b + 1],
            np.maximum(whole.last_fraud[a : b + 1] - a, -1),
            np.maximum(whole.last_good[a : b + 1] - a, -1),
            np.minimum(whole.next_fraud[a : b + 1], b) - a,
        )

    # ---- answering ---------------------------------------------------------

    def names(self) -> list[str]:
        """What each feature says, in the order of `features`."""
        return [f"{entity}: {fact}" for entity in self.entities for fact in self._facts()]

    def _facts(self) -> list[str]:
        facts = [f"{fact}, {w}" for w in self.windows for fact in ("payments", "mean amount", "amount in deviations")]
        facts += ["amount over its mean", "days since the last payment"]
        if self.labelled:
            facts += [f"{fact}, {w}" for w in self.windows for fact in ("judged payments", "fraud rate")]
            facts += [
                f"days since the {fact}" for fact in ("last known fraud", "first known fraud", "last frauds began")
            ]
            facts += ["known frauds in a row", "known good ones in a row"]
            facts += [f"fraud rate of the last {k} known" for k in LAST] + ["amount over the mean of good ones"]
        return facts

    def features(
        self, time: np.ndarray, amount: np.ndarray, label: np.ndarray, keys: Sequence[np.ndarray]
    ) -> np.ndarray:
        """What the past says of each payment; earlier rows serve later ones, and nothing is kept.

        Args:
            time, amount, label, keys: As for `add`; a label serves only rows later than itself by the delay.

        Returns:
            (n, entities x facts) float64, columns as `names` says.
        """
        if not self.entities:
            return np.zeros((len(time), 0))
        codes = self.encode(keys, grow=False)
        blocks = [
            self._one(i, int(code[0]), time, amount) if len(time) == 1 else self._many(i, code, time, amount, label)
            for i, code in enumerate(codes)
        ]
        return np.concatenate(blocks, axis=1)

    def _bounds(self, time: np.ndarray) -> np.ndarray:
        """(n, 1 + 2 windows) moments: rows later than these stand in the windows; the first ends what is judged."""
        judged = time - self.delay
        return np.stack([judged, *(time - w for w in self.spans), *(judged - w for w in self.spans)], axis=1)

    def _one(self, i: int, code: int, time: np.ndarray, amount: np.ndarray) -> np.ndarray:
        log = self._log(i, code)
        here = np.searchsorted(log.time, time, side="right")
        places = np.minimum(np.searchsorted(log.time, self._bounds(time), side="right"), here[:, None])
        return self._describe(log, here, np.zeros(1, "int64"), places, time, amount)

    def _many(self, i: int, code: np.ndarray, time: np.ndarray, amount: np.ndarray, label: np.ndarray) -> np.ndarray:
        self._settle()
        times = np.concatenate([self._time, time])
        codes = np.concatenate([self._entity[i], code])
        amounts, labels = np.concatenate([self._amount, amount]), np.concatenate([self._label, label])
        number = int(codes.max(initial=-1)) + 1
        order = np.lexsort((times, codes))  # stable: of equal times the earlier row comes first
        log, starts = sort(times, amounts, labels, np.arange(len(times)), codes, number, order)
        moments = np.unique(times)
        width = len(moments) + 1
        keys = codes[order] * width + np.searchsorted(moments, log.time)  # rises along the log
        here = np.empty(len(order), "int64")
        here[order] = np.arange(len(order))
        here = here[len(self._time) :]
        places = np.empty((len(time), 1 + 2 * len(self.spans)), "int64")
        bounds = self._bounds(time)
        for b in range(bounds.shape[1]):
            rank = np.searchsorted(moments, bounds[:, b], side="right")
            places[:, b] = np.searchsorted(keys, code * width + rank)
        places = np.minimum(places, here[:, None])
        return self._describe(log, here, starts[code], places, time, amount)

    def _describe(
        self, log: Log, here: np.ndarray, start: np.ndarray, places: np.ndarray, time: np.ndarray, amount: np.ndarray
    ) -> np.ndarray:
        """The facts (n, f) from the positions of the payment itself, its entity's first one and each bound."""
        w, n = len(self.spans), len(time)
        judged, opened, judged_from = places[:, 0], places[:, 1 : 1 + w], places[:, 1 + w :]
        before = log.sums[here]  # (n, 5)
        total = (before[:, None] - log.sums[opened]).astype("float64")  # (n, w, 5) in each window, itself left out
        number = (here[:, None] - opened).astype("float64")
        mean = (total[..., 0] + amount[:, None]) / (number + 1)
        known = np.maximum(number, 1)
        usual = total[..., 0] / known
        spread = np.sqrt(np.maximum(total[..., 1] / known - usual**2, 0) + 0.01 * usual**2 + 1e-9)
        deviations = np.where(number > 1, (amount[:, None] - usual) / spread, 0)
        ratio = np.where(number[:, -1:] > 0, amount[:, None] / (usual[:, -1:] + 1e-9), 1)
        past = log.time if len(log.time) else np.zeros(1, "int64")
        longest = self.spans[-1]
        gap = np.where(here > start, time - past[np.maximum(here - 1, 0)], longest)
        facts = [np.stack([number + 1, mean, deviations], axis=2).reshape(n, 3 * w)]
        facts += [np.clip(ratio, 0, 100), np.minimum(gap, longest)[:, None] / DAY]
        if self.labelled:
            seen = (log.sums[judged][:, None, 2:4] - log.sums[judged_from][..., 2:4]).astype("float64")  # (n, w, 2)
            rate = seen[..., 1] / np.maximum(seen[..., 0], 1)
            facts.append(np.stack([seen[..., 0], rate], axis=2).reshape(n, 2 * w))
            oldest, never = judged_from[:, -1], longest + self.delay
            last, first = log.last_fraud[judged], log.next_fraud[oldest]
            began = log.next_fraud[np.maximum(log.last_good[np.maximum(last, 0)] + 1, oldest)]
            any_fraud = last >= oldest
            moments = ((last, any_fraud), (first, first < judged), (began, any_fraud))
            since = [np.where(there, time - past[np.clip(at, 0, len(past) - 1)], never) for at, there in moments]
            facts.append(np.stack(since, axis=1) / DAY)
            all_judged = log.sums[judged, 2]
            rows = [
                all_judged - log.sums[np.maximum(end[judged] + 1, oldest), 2] for end in (log.last_good, log.last_fraud)
            ]
            facts.append(np.stack(rows, axis=1).astype("float64"))
            few = log.sums[judged] - log.sums[np.maximum(judged[None] - np.array(LAST)[:, None], oldest)]  # (k, n, 5)
            facts.append((few[..., 3] / np.maximum(few[..., 2], 1)).T.astype("float64"))
            bad = (log.sums[judged] - log.sums[np.minimum(opened[:, -1], judged)]).astype("float64")
            good = np.maximum(total[:, -1, 0] - bad[:, 4], 0) / np.maximum(number[:, -1] - bad[:, 3], 1)
            over = np.where(number[:, -1] > bad[:, 3], amount / (good + 1e-9), 1)
            facts.append(np.clip(over, 0, 100)[:, None])
        return np.concatenate(facts, axis=1)

    # ---- keeping -----------------------------------------------------------

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The payments that can still matter, as arrays."""
        self._settle()
        keep = self._time > self._time.max(initial=0) - self.horizon
        arrays = {"time": self._time[keep], "amount": self._amount[keep], "label": self._label[keep]}
        for i, known in enumerate(self.codes):
            names = np.array(list(known) or [""], dtype=str)
            used, code = np.unique(self._entity[i][keep], return_inverse=True)
            arrays |= {f"code {i}": code.astype("int32"), f"names {i}": names[used] if len(used) else names[:0]}
        return arrays

    def read_arrays(self, arrays: dict[str, np.ndarray]) -> "History":
        """This (empty) history filled with what `to_arrays` gave."""
        if not len(arrays):
            return self
        self._time, self._amount, self._label = arrays["time"], arrays["amount"], arrays["label"].copy()
        self.codes = [{str(name): c for c, name in enumerate(arrays[f"names {i}"])} for i in range(len(self.entities))]
        codes = [arrays[f"code {i}"].astype("int64") for i in range(len(self.entities))]
        self._entity = np.array(codes).reshape(len(self.entities), -1)
        self._sort()
        return self


class _Extended(dict):
    """Known names and their numbers, with room for new ones that the original does not get."""

    def __init__(self, known: dict[str, int]) -> None:
        super().__init__()
        self.known = known

    def setdefault(self, name: str, _: int) -> int:  # type: ignore[override]
        code = self.known.get(name)
        return super().setdefault(name, len(self.known) + len(self)) if code is None else code


def sort(
    time: np.ndarray,
    amount: np.ndarray,
    label: np.ndarray,
    row: np.ndarray,
    code: np.ndarray,
    number: int,
    order: np.ndarray | None = None,
) -> Sorted:
    """Payments by entity (one of `number` codes) and time."""
    order = np.lexsort((time, code)) if order is None else order
    starts = np.searchsorted(code[order], np.arange(number + 1))
    return Sorted(Log.of(time[order], amount[order], label[order], row[order]), starts)


NOTHING = Log.of(np.zeros(0, "int64"), np.zeros(0), np.zeros(0, "int8"), np.zeros(0, "int64"))
