"""What the past of a card, a terminal or any other entity says about a new payment.

One set of formulas serves whole tables (everything sorted once, prefix sums, binary searches) and a single payment (the
same formulas at its own few places), so that both give the same features. NumPy only.
"""

import json
from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import numpy as np

from apptemplates.data.splits import span
from apptemplates.inference.facts import LAST, NOTHING, UNKNOWN, Arrays, Floats, Log, facts

FEW = 32  # payments that are added one by one; more are sorted in together
TRIM = 50_000  # payments that are added before the history is looked through for old ones
BLOCK = 16_384  # payments described at a time, few enough to stay in the processor's cache


def microseconds(duration: str) -> int:
    """`"7D"` or `"12h"` in microseconds."""
    return int(span(duration).astype("int64"))


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
        self.entities, self.labelled = tuple(entities), labelled
        self.windows = tuple(sorted(windows, key=microseconds))
        self.spans = [microseconds(window) for window in self.windows]
        self.delay = microseconds(delay)
        self.horizon = max(self.spans, default=0) + self.delay  # nothing older is ever looked at
        back = np.array([0, *self.spans], "int64")
        # (2 + 2 windows,) how far back: to the payment itself, each window's start; the same before the delay
        self._looks = np.concatenate([back, back + self.delay])
        self._width = len(self._facts())
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

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Time, amount, label and entity codes (entities, n) of all payments, those added one by one at the end."""
        if not self._late:
            return self._time, self._amount, self._label, self._entity
        time, amount, label, entity = zip(*self._late, strict=True)
        return (
            np.append(self._time, np.array(time, "int64")),
            np.append(self._amount, np.array(amount, "float64")),
            np.append(self._label, np.array(label, "int8")),
            np.append(self._entity, np.array(entity, "int64").reshape(-1, len(self.entities)).T, axis=1),
        )

    # ---- growing -----------------------------------------------------------

    def encode(self, keys: Sequence[np.ndarray], grow: bool) -> np.ndarray:
        """Numbers (entities, n) of entity names; unknown ones get new numbers, kept only where the history grows."""
        coded = np.zeros((len(self.entities), len(keys[0]) if len(keys) else 0), "int64")
        for i, (names, known) in enumerate(zip(keys, self.codes, strict=True)):
            known = known if grow else dict(known)
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
        grown = copy(self)
        grown.codes = [dict(known) for known in self.codes]
        codes = grown.encode(keys, grow=True)
        old_time, old_amount, old_label, old_codes = self._columns()
        fresh, judged = late_labels((old_time, old_amount, old_label, old_codes), (time, amount, label, codes))
        grown._time = np.append(old_time, time[fresh])
        grown._amount = np.append(old_amount, amount[fresh])
        grown._label = np.append(judged, label[fresh])
        grown._entity = np.append(old_codes, codes[:, fresh], axis=1)
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

    def lean(self, before: int) -> "History":
        """This history; now and then one without what is too old to matter.

        Args:
            before: How long it was before payments were added.
        """
        if before // TRIM == len(self) // TRIM:
            return self
        return copy(self).read_arrays(self.to_arrays())

    @property
    def oldest(self) -> int:
        """The time, in microseconds, up to which payments are too old to matter."""
        time = self._columns()[0]
        return int(time.max()) - self.horizon if len(time) else 0

    def _add_one(self, time: int, amount: float, label: int, codes: np.ndarray) -> None:
        own = []
        for i, code in enumerate(codes):
            log, a, b = self._log(i, int(code))
            own.append((log.time[a:b], log.amount[a:b], log.label[a:b], log.row[a:b]))
        shared: set[int] | None = None
        for times, amounts, labels, rows in own if label != UNKNOWN else ():
            same = slice(*np.searchsorted(times, [time, time + 1]))
            waiting = (amounts[same] == amount) & (labels[same] == UNKNOWN)
            found = set(rows[same][waiting].tolist())
            shared = found if shared is None else shared & found
        row = min(shared) if shared else len(self)
        if not shared:
            self._late.append([time, amount, label, codes.tolist()])
        elif row < len(self._time):
            self._label[row] = label
        else:
            self._late[row - len(self._time)][2] = label
        for i, (times, amounts, labels, rows) in enumerate(own):
            if shared:
                fresh = Log.of(times, amounts, np.where(rows == row, np.int8(label), labels), rows)
            else:
                at = int(np.searchsorted(times, time, side="right"))
                parts = zip((times, amounts, labels, rows), (time, amount, label, row), strict=True)
                fresh = Log.of(*(np.insert(column, at, value) for column, value in parts))
            self._own[i][int(codes[i])] = fresh

    def _log(self, i: int, code: int | None) -> tuple[Log, int, int]:
        """A log, and from where to where the payments of one entity stand in it."""
        if code is None:
            return NOTHING, 0, 0
        log = self._own[i].get(code)
        if log is not None:
            return log, 0, len(log.time)
        whole, starts = self._sorted[i]
        if code >= len(starts) - 1:
            return NOTHING, 0, 0
        return whole, int(starts[code]), int(starts[code + 1])

    # ---- answering ---------------------------------------------------------

    def names(self) -> list[str]:
        """What each feature says, in the order of `features`."""
        return [f"{entity}: {fact}" for entity in self.entities for fact in self._facts()]

    def _facts(self) -> list[str]:
        facts = [f"{fact}, {w}" for w in self.windows for fact in ("payments", "mean amount")]
        facts += ["usual amount", "spread of the usual amount", "amount over the usual", "amount in deviations"]
        facts += [f"mean before over the usual, {w}" for w in self.windows[:-1]] + ["days since the last payment"]
        if self.labelled:
            facts += [f"{fact}, {w}" for w in self.windows for fact in ("judged payments", "fraud rate")]
            moments = ("last known fraud", "last known good one", "first known fraud", "last frauds began")
            facts += [f"days since the {moment}" for moment in moments]
            facts += ["known good ones in a row", "known frauds in a row"]
            facts += [f"fraud rate of the last {k} known" for k in LAST]
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
        if len(time) != 1:
            return self._many(time, amount, label, keys)
        return self.apart(time, amount, keys)

    def apart(self, time: np.ndarray, amount: np.ndarray, keys: Sequence[np.ndarray]) -> np.ndarray:
        """The same of payments that know nothing of each other, such as those of people who ask at once."""
        width = self._width
        if len(time) != 1:
            found = np.empty((len(time), len(self.entities) * width))
            for i, known in enumerate(self.codes):
                spots = [self._log(i, known.get(key)) for key in keys[i]]
                moments = time[:, None] - self._looks  # (n, looks)
                places = np.array(
                    [
                        log.time[a:b].searchsorted(looks, side="right") + a
                        for (log, a, b), looks in zip(spots, moments, strict=True)
                    ]
                ).T.reshape(len(self._looks), len(time))
                whose = np.array([id(log) for log, _, _ in spots])
                for one in np.unique(whose):  # mostly one log holds all
                    mine = np.flatnonzero(whose == one)
                    log = spots[mine[0]][0]
                    found[mine, i * width : (i + 1) * width] = self._told(
                        log, places[:, mine], time[mine], amount[mine]
                    )
            return found
        moments = time[0] - self._looks
        alone: list[float] = []
        for i, known in enumerate(self.codes):
            log, a, b = self._log(i, known.get(keys[i][0]))
            places = (log.time[a:b].searchsorted(moments, side="right") + a).tolist()
            alone += facts(Floats, log, places, int(time[0]), float(amount[0]), self.spans, self.delay, self.labelled)
        return np.array([alone], "float64")

    def _told(self, log: Log, places: np.ndarray, time: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """The facts (n, f) of payments whose entities' payments stand in this log; see `facts`."""
        found = np.empty((len(time), self._width))
        for column, fact in zip(
            found.T, facts(Arrays, log, places, time, amount, self.spans, self.delay, self.labelled), strict=True
        ):
            column[:] = fact
        return found

    def _many(self, time: np.ndarray, amount: np.ndarray, label: np.ndarray, keys: Sequence[np.ndarray]) -> np.ndarray:
        old_time, old_amount, old_label, old_codes = self._columns()
        codes = np.concatenate([old_codes, self.encode(keys, grow=False)], axis=1)
        times, old = np.concatenate([old_time, time]), len(old_time)
        amounts, labels = np.concatenate([old_amount, amount]), np.concatenate([old_label, label])
        moments, rank = np.unique(times, return_inverse=True)
        wide = len(moments) + 1
        looks = [np.searchsorted(moments, time - look, side="right") for look in self._looks[1:]]
        found = np.empty((len(time), len(self.entities) * self._width))
        for i, code in enumerate(codes):
            asked = np.zeros(code.max(initial=-1) + 1, bool)
            asked[code[old:]] = True
            rows = np.flatnonzero(asked[code])  # the past of the others does not matter
            keyed = code[rows] * wide + rank[rows]
            sorting = np.argsort(keyed, kind="stable")  # of equal times the earlier row comes first
            keyed, order = keyed[sorting], rows[sorting]
            log = Log.of(times[order], amounts[order], labels[order], order)
            here = np.flatnonzero(order >= old)
            for first in range(0, len(here), BLOCK):  # in the order of the log, where neighbours need the same places
                own = here[first : first + BLOCK]
                mine = order[own] - old
                base = code[order[own]] * wide
                ends = [np.minimum(keyed.searchsorted(base + look[mine]), own) for look in looks]
                described = self._told(log, np.stack([own, *ends]), time[mine], amount[mine])
                found[mine, i * self._width : (i + 1) * self._width] = described
        return found

    # ---- keeping -----------------------------------------------------------

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The payments that can still matter, as arrays."""
        time, amount, label, entity = self._columns()
        keep = time > self.oldest
        arrays = {"time": time[keep], "amount": amount[keep], "label": label[keep]}
        for i, known in enumerate(self.codes):
            used, code = np.unique(entity[i][keep], return_inverse=True)
            names = list(known)
            # as one text: in an array of strings every name would take the room of the longest
            text = json.dumps([names[place] for place in used]).encode()
            arrays |= {f"code {i}": code.astype("int32"), f"names {i}": np.frombuffer(text, "uint8")}
        return arrays

    def read_arrays(self, arrays: dict[str, np.ndarray]) -> "History":
        """This (empty) history filled with what `to_arrays` gave."""
        if not len(arrays):
            return self
        self._time, self._amount, self._label = arrays["time"], arrays["amount"], arrays["label"].copy()
        texts = [arrays[f"names {i}"].tobytes() for i in range(len(self.entities))]
        self.codes = [{name: code for code, name in enumerate(json.loads(text))} for text in texts]
        codes = [arrays[f"code {i}"].astype("int64") for i in range(len(self.entities))]
        self._entity = np.array(codes).reshape(len(self.entities), -1)
        self._sort()
        return self


def late_labels(known: tuple[np.ndarray, ...], new: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Which new payments (time, amount, label, codes) are not there yet, and the labels of the others."""
    old_time, old_amount, old_label, old_codes = known
    time, amount, label, codes = new
    judged, fresh = old_label.copy(), np.ones(len(time), bool)
    late = np.flatnonzero(label != UNKNOWN)
    if not len(late):
        return fresh, judged
    waiting: dict[tuple, list[int]] = {}
    for row in np.flatnonzero((old_label == UNKNOWN) & (old_time >= time[late].min())):
        key = (int(old_time[row]), float(old_amount[row]), *old_codes[:, row].tolist())
        waiting.setdefault(key, []).append(int(row))
    for i in late if waiting else ():
        rows = waiting.get((int(time[i]), float(amount[i]), *codes[:, i].tolist()))
        if rows:
            judged[rows.pop(0)], fresh[i] = label[i], False
    return fresh, judged


def sort(
    time: np.ndarray, amount: np.ndarray, label: np.ndarray, row: np.ndarray, code: np.ndarray, number: int
) -> Sorted:
    """Payments by entity (one of `number` codes) and time."""
    order = np.lexsort((time, code))
    starts = np.searchsorted(code[order], np.arange(number + 1))
    return Sorted(Log.of(time[order], amount[order], label[order], row[order]), starts)
