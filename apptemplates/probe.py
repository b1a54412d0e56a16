"""What a fit would take and come to, told from a short one of a part of the records."""

import math
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from apptemplates import learning, training
from apptemplates.data.table import Table, rows
from apptemplates.evaluation.cost import resident
from apptemplates.evaluation.metrics import LOWER_IS_BETTER
from apptemplates.evaluation.report import Report
from apptemplates.evaluation.wording import rounded_up

SECONDS = 2.5  # of learning in each stage, once its first step is through
STEEPEST = 0.35  # the power of the number of records that errors fall with, at most
MARGIN = 1.4  # what a machine that does more than this takes longer
COPIES = 4  # how often a record is held while it is learned from: as it is, as features, shuffled, in a batch's source


@dataclass(frozen=True)
class Estimate:
    """What a fit of all records would take and come to.

    Args:
        share: Of the records that were tried.
        seconds: At most, on this machine; fewer where learning stops early.
        megabytes: Of memory, beside what the records and TensorFlow take already; NaN where it can not be measured.
        headline: The metric that is foreseen.
        low, high: Where it is likely to lie on the rows held out.
    """

    share: float
    seconds: float
    megabytes: float
    headline: str
    low: float
    high: float

    def sentence(self) -> str:
        """What it comes to."""
        return (
            f"It would take at most about {duration(self.seconds)} on this machine; its {self.headline} is likely to "
            f"lie between {self.low:.3g} and {self.high:.3g}."
        )

    def notes(self) -> dict[str, str]:
        """In words, for a report."""
        tried = f"from a short fit of {self.share:.0%} of the records"
        told = {"fit would take": f"at most about {duration(self.seconds)} on this machine ({tried})"}
        if not math.isnan(self.megabytes):
            told["memory it would take"] = (
                f"about {rounded_up(self.megabytes):,} MB beside TensorFlow and the records ({tried})"
            )
        return told | {
            f"likely {self.headline}": f"{self.low:.3g} to {self.high:.3g} on held-out records ({tried})",
        }


class Pace(keras.callbacks.Callback):
    """Stops each stage after a while, with a falling learning rate, and tells what a step of it took."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: list[dict[str, float]] = []  # seconds and steps that were timed, steps a pass, seconds to validate
        self.first: float | None = None
        self.last, self.done, self.began = 0.0, 0, 0.0
        self.most, self.features = resident(), 0  # megabytes at most; bytes that the network is given of a record

    def on_train_begin(self, logs: Any = None) -> None:
        self.stages.append({"seconds": 0.0, "steps": 0.0, "pass": 1.0, "validating": 0.0})
        self.first = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.last, self.done = time.monotonic(), -1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        used = 0.0 if self.first is None else min(1.0, (time.monotonic() - self.first) / SECONDS)
        rate = self.model.optimizer.learning_rate
        rate.assign(rate * 0.5 * (1 + math.cos(math.pi * used)))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now, stage = time.monotonic(), self.stages[-1]
        if self.first is None:  # the first step of all is mostly compiling
            self.first = now
        else:
            stage["seconds"] += now - self.last
            stage["steps"] += batch - self.done
        self.last, self.done = now, batch
        if now - self.first > SECONDS and stage["steps"]:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.stages[-1]["pass"] = self.done + 1.0
        self.most = max(self.most, resident())
        self.features = 4 * sum(math.prod(side or 1 for side in entry.shape) for entry in self.model.inputs)
        if self.first is not None and time.monotonic() - self.first > SECONDS and self.stages[-1]["steps"]:
            self.model.stop_training = True

    def on_test_begin(self, logs: Any = None) -> None:
        self.began = time.monotonic()

    def on_test_end(self, logs: Any = None) -> None:
        self.stages[-1]["validating"] = time.monotonic() - self.began  # the last one is not the one that compiles


def estimate(app: Any, records: Table, decoding: float) -> Estimate:
    """What `fit` of these records would take and come to.

    Args:
        app: An unfitted template whose columns are known.
        records: Canonical ones that `fit` would accept.
        decoding: Seconds that it took to prepare all of them.

    Raises:
        DataError: What a fit of a part of the records raises.

    Reference: Hestness et al., 2017, Deep Learning Scaling is Predictable, Empirically, arXiv:1712.00409 (errors fall
    with a power of the records between .07 and .35, by which the better end of what is likely is set).
    """
    some, share = app.portion(records)
    changes: dict[str, Any] = {"refit": False} if hasattr(app, "refit") else {}
    short, pace, before, began = app.clone(**changes), Pace(), resident(), time.monotonic()
    learning.learn(
        short, some, validation=None, sample_weight=None, clock=training.Clock(None), checkpoint=None,
        diagnose=False, callbacks=(pace,), verbose=0,
    )  # fmt: skip
    beside = time.monotonic() - began - sum(stage["seconds"] for stage in pace.stages)
    count = short.learned_["data"]["rows"] / share
    again = bool(getattr(app, "refit", False))
    stages, learned, longer = short.stages(), 0.0, 1.0
    for number, stage in enumerate(pace.stages):
        passes = max(1, round(stages[number % len(stages)].epochs * short.passes(round(count))))
        steps = math.ceil(stage["pass"] / share)
        step = stage["seconds"] / max(stage["steps"], 1.0)
        longer = max(longer, passes * stage["pass"] / max(stage["steps"], 1.0))
        # a second time from all records, the held-out ones among them
        learned += passes * (step * steps * (1 + 1.25 * again) + stage["validating"] / share)
    grown = max(pace.most, resident()) - before
    held = sum(column.nbytes for column in short.prepare_records(some, short.open_state({})).values())
    held += pace.features * rows(some)
    low, high = likely(short.report_, 1 / share, longer)
    return Estimate(
        share=share,
        seconds=MARGIN * (beside * (1 + 0.5 * again) + decoding + learned),
        megabytes=MARGIN * (grown + (1 / share - 1) * held * COPIES / 2**20),
        headline=next(iter(short.report_.metrics)),
        low=low,
        high=high,
    )


def likely(report: Report, times: float, longer: float = 1.0) -> tuple[float, float]:
    """Where the headline is likely to lie after so many times the records and passes, from the report of a short fit.

    The worse end is the interval of the better of the network and the simple method, as if more records brought
    nothing, and never better than what n records without an error tell, 3 / n; the better end has errors fall with the
    records as steeply as they are known to at most, and with the root of the passes, since a network that has hardly
    begun to learn tells little.

    Reference: Hanley and Lippman-Hand, 1983, If Nothing Goes Wrong, Is Everything All Right? (the rule of three).
    """
    headline = next(iter(report.metrics))
    ours, theirs = report.metrics[headline], report.baseline["metrics"].get(headline)
    less = headline in LOWER_IS_BETTER
    if theirs is not None and not np.isnan(theirs.value) and ((theirs.value < ours.value) == less):
        ours = theirs
    gain, least = times**-STEEPEST * longer**-0.5, 3 / max(3, report.data.get("records", 0))
    if less:
        return ours.low * gain, max(ours.high, least)
    return (min(ours.low, 1 - least), 1 - (1 - ours.high) * gain) if ours.high <= 1 else (ours.low, ours.high)


def duration(seconds: float) -> str:
    """Seconds in words, to about two digits."""
    if seconds < 90:
        return f"{max(5, 5 * math.ceil(seconds / 5))} seconds"
    minutes = seconds / 60
    return f"{minutes:.1f} minutes" if minutes < 9.5 else f"{rounded_up(minutes):,} minutes"
