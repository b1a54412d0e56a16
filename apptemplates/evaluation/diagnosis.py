"""What refits on frozen features tell of training data: labels that look wrong, and what more records would bring."""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from apptemplates.evaluation.metrics import LOWER_IS_BETTER
from apptemplates.evaluation.wording import rounded_up

MOST = 20_000  # rows that are looked at, drawn by chance
FOLDS = 5
SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)  # of the rows, for the curve
DRAWS = 3  # of each smaller share
FEWEST = 40  # rows of the smallest share
SHOWN = 100  # most suspect rows that are noted
WISHED = 0.95  # the recall that a class is to come to
ENOUGH = 10  # held-out rows of a class by which its recall is told
FLAT = 0.02  # a power below which errors do not fall
TRIED = 400  # rows that tell how long a regression takes
REGRESSIONS = 16  # of all rows that a diagnosis comes to, those of parts of them added up
LONGEST = 60.0  # seconds that a curve takes without classes, however long a fit may take
FARTHEST = 20  # times the rows of a class that a curve is followed to


def nothing() -> dict[str, Any]:
    """A diagnosis that tells nothing."""
    return {"rows": 0, "curve": [], "suspects": [], "wrong": None, "weakest": None}


class Frozen(NamedTuple):
    """Records as what does not learn any more sees them.

    Args:
        features: (n, d) float32.
        place: (n,) number of the class that each row is labelled with, -1 of one that is not known or not looked at.
        names: Of the classes; empty where they must not be kept, and then no curve is told.
    """

    features: np.ndarray
    place: np.ndarray
    names: tuple[str, ...]


class Growing(NamedTuple):
    """What can be learned from a part of records that have no classes.

    Args:
        learn: From a share of them, drawn with a generator, to how many that was and how good what it learned is.
        unit: What is counted, such as "people".
        method: What learns.
        score: The metric that tells how good it is.
    """

    learn: Callable[[float, np.random.Generator], tuple[int, float]]
    unit: str
    method: str
    score: str


def grow(given: Growing, seed: int, seconds: float = math.inf) -> dict[str, Any]:
    """What more and more records without classes bring, as far as the time goes, a minute at most; plain JSON.

    Returns:
        As `diagnose`, without suspects, since nothing is labelled: `curve`, a list of [number, score], and the `unit`,
        `method` and `score` of it.
    """
    rng, began = np.random.default_rng(seed), time.monotonic()
    found: dict[str, Any] = {**nothing(), "unit": given.unit, "method": given.method, "score": given.score}
    seconds = min(seconds, LONGEST)
    spent = 0.0  # by the last draw, which the next one, of twice as much, takes at least
    for share in SHARES:
        drawn = []
        for _ in range(DRAWS if share < 1 else 1):
            if time.monotonic() - began + spent > seconds:
                break
            start = time.monotonic()
            drawn.append(given.learn(share, rng))
            spent = time.monotonic() - start
        if not drawn:
            break
        number, score = (float(np.mean(column)) for column in zip(*drawn, strict=True))
        if np.isfinite(score):
            found["curve"].append([round(number), round(score, 4)])
            found["rows"] = round(number)
    return found if found["curve"] else found | {"why": "its minutes were too few"}


def diagnose(train: Frozen, held_out: Frozen, seed: int, seconds: float = math.inf) -> dict[str, Any]:
    """What a logistic regression on features, learned again and again from parts of the rows, tells; plain JSON.

    Args:
        train: Training rows.
        held_out: Rows that are judged.
        seed: Of what is drawn.
        seconds: That it may take: fewer rows are looked at where all of them would take longer, and none where even
            a few hundred would.

    Returns:
        `rows` looked at; `curve`, a list of [rows, accuracy on the held-out rows]; `suspects`, a list of
        [row, chance of its label], the least likely first; `wrong`, the estimated share of wrong labels; `weakest`, the
        `name` of the class with the least recall and its `curve`, a list of [its rows, its recall], or None.

    Reference: Northcutt et al., 2021, Confident Learning, arXiv:1911.00068; Hestness et al., 2017, Deep Learning
    Scaling is Predictable, Empirically, arXiv:1712.00409 (the power law of the curve).
    """
    rng = np.random.default_rng(seed)
    features, place, names = train
    rows = np.sort(rng.permutation(len(place))[: affordable(train, seconds)])
    found: dict[str, Any] = {**nothing(), "rows": len(rows)}
    if not len(rows):
        return found | {"why": "its minutes were too few"}
    rows = rows[place[rows] >= 0]
    known, code = np.unique(place[rows], return_inverse=True)
    counts = np.bincount(code)
    if len(known) < 2 or counts.min() < 2:
        return found
    chances = out_of_fold(features[rows], code, min(FOLDS, int(counts.min())), seed)
    own = chances[np.arange(len(rows)), code]
    order = np.argsort(own, kind="stable")[:SHOWN]
    found["suspects"] = [[int(rows[row]), round(float(own[row]), 4)] for row in order]
    found["wrong"] = round(float(off_diagonal(chances, code).mean()), 4)
    numbers = {name: number for number, name in enumerate(names)}
    called = dict(enumerate(held_out.names))
    there = np.array([numbers.get(called.get(int(number), ""), -1) for number in held_out.place], int)
    judged = np.isin(there, known)
    if judged.any():
        learned = features[rows], code
        held = held_out.features[judged], np.searchsorted(known, there[judged])
        found["curve"] = curve(learned, held, rng)
        weakest = least_found(learned, held)
        if weakest is not None:
            grown = curve_of_class(learned, held, weakest, rng)
            found["weakest"] = {"name": names[known[weakest]], "curve": grown}
    return found


def affordable(train: Frozen, seconds: float) -> int:
    """How many rows can be looked at in so many seconds, by the time that a regression on a few hundred takes."""
    if seconds == math.inf or len(train.place) <= TRIED:
        return MOST
    some = np.random.default_rng(0).permutation(len(train.place))[:TRIED]
    if len(np.unique(train.place[some])) < 2:
        return MOST
    learner = regression(0)  # imports what it needs, which is no part of its time
    began = time.monotonic()
    learner.fit(train.features[some], train.place[some])
    spent = time.monotonic() - began
    rows = int(TRIED * (seconds - spent) / (REGRESSIONS * spent))
    return 0 if rows < TRIED else min(MOST, rows)


def regression(seed: int, weight: str | None = None) -> Any:
    """An unfitted logistic regression on scaled features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, max_iter=300, class_weight=weight, random_state=seed)
    )


def out_of_fold(features: np.ndarray, code: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """The chances (n, classes) that regressions which did not learn from a row give it."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(regression(seed), features, code, cv=split, method="predict_proba"))


def off_diagonal(chances: np.ndarray, code: np.ndarray) -> np.ndarray:
    """Whether each row (n,) is confidently of another class than its label: likelier than those labelled so are."""
    usual = np.array([chances[code == one, one].mean() for one in range(chances.shape[1])])
    sure = np.where(chances >= usual, chances, -1.0)
    return (sure.max(axis=1) >= 0) & (sure.argmax(axis=1) != code)


def curve(
    train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> list[list[float]]:
    """[rows, accuracy on held-out rows] of regressions learned from more and more rows, means of several draws."""
    features, code = train
    found = []
    for share in SHARES:
        rows = round(share * len(code))
        if rows < FEWEST and share < 1:
            continue
        scores = []
        for _ in range(DRAWS if share < 1 else 1):
            drawn = rng.permutation(len(code))[:rows]
            if len(np.unique(code[drawn])) < 2:
                continue
            fitted = regression(0).fit(features[drawn], code[drawn])
            scores.append(float((fitted.predict(held_out[0]) == held_out[1]).mean()))
        if scores:
            found.append([rows, round(float(np.mean(scores)), 4)])
    return found


Labelled = tuple[np.ndarray, np.ndarray]


def least_found(train: Labelled, held_out: Labelled) -> int | None:
    """The class of the least recall, all classes counting the same; None where too few held-out rows tell any."""
    told = regression(0, "balanced").fit(*train).predict(held_out[0])
    counts = np.bincount(held_out[1], minlength=train[1].max() + 1)
    recall = np.bincount(held_out[1], weights=told == held_out[1], minlength=len(counts)) / np.maximum(counts, 1)
    recall = np.where(counts >= ENOUGH, recall, np.inf)
    return int(recall.argmin()) if np.isfinite(recall).any() else None


def curve_of_class(train: Labelled, held_out: Labelled, which: int, rng: np.random.Generator) -> list[list[float]]:
    """[rows of a class, its recall on held-out rows], with more and more of its rows and all rows of the others.

    All classes count the same while learning, so that it is what is known of the class that grows, and not its share.
    """
    features, code = train
    own, rest = np.flatnonzero(code == which), np.flatnonzero(code != which)
    judged, found = held_out[0][held_out[1] == which], []
    for share in SHARES:
        number = round(share * len(own))
        if number < 2:
            continue
        scores = []
        for _ in range(DRAWS if share < 1 else 1):
            drawn = np.concatenate([rest, rng.permutation(own)[:number]])
            told = regression(0, "balanced").fit(features[drawn], code[drawn]).predict(judged)
            scores.append(float((told == which).mean()))
        found.append([number, round(float(np.mean(scores)), 4)])
    return found


def foreseen(points: list[list[float]], times: float = 2.0) -> tuple[float, float] | None:
    """Rows and accuracy with so many times the rows of the last point, by a power law; None where none can be told.

    The error falls as a power of the rows; what four points or more do not agree on is not foreseen.
    """
    slope = steepness(points)
    if slope is None:
        return None
    rows, score = points[-1]
    # the last point stands where it was measured
    return float(times * rows), float(1 - (1 - score) * times**slope)


def steepness(points: list[list[float]]) -> float | None:
    """The power, below 0, of the rows that the error falls with; None where the points tell none, or hardly one."""
    if len(points) < 4:
        return None
    rows, score = np.array(points).T
    if (score >= 1).any():
        return None
    slope = float(np.polyfit(np.log(rows), np.log(1 - score), 1)[0])
    return slope if slope < -FLAT else None


def needed(points: list[list[float]], wished: float = WISHED) -> float | None:
    """How many rows more than those of the last point bring the score to what is wished; None where none can be told.

    Infinity where it would take more than 20 times the rows: so far no curve is followed.
    """
    rows, score = points[-1]
    if score >= wished:
        return 0.0
    slope = steepness(points)
    if slope is None:
        return None
    log_times = np.log((1 - wished) / (1 - score)) / slope
    return float(rows * np.expm1(log_times)) if log_times <= np.log(FARTHEST) else float("inf")


def notes(found: dict[str, Any]) -> dict[str, str]:
    """The diagnosis in words, for a report."""
    told = {}
    if not found["rows"]:
        told["diagnosis"] = f"left out: {found.get('why', 'the records have no one class each')}"
    if found["wrong"] is not None:
        told["labels learned from that look wrong"] = (
            f"{found['wrong']:.1%} of {found['rows']:,} rows, by a regression on frozen features"
        )
    if found["curve"]:
        told |= of_curve(found["curve"], found.get("unit", "rows"), found.get("score", "accuracy"))
    if "method" in found and found["curve"]:
        told["learning curve"] += f" ({found['score']} of {found['method']} alone, on what was held out)"
        told["labels that look wrong"] = "not looked for: nothing is labelled"
    if found.get("weakest"):
        told["what would help most"] = wish(found["weakest"])
    return told


def of_curve(points: list[list[float]], unit: str, score: str) -> dict[str, str]:
    """A learning curve in words, and what it foresees."""
    told = {"learning curve": "; ".join(f"{int(number):,} {unit} {value:.3f}" for number, value in points)}
    less = score in LOWER_IS_BETTER
    more = foreseen([[number, 1 - value] for number, value in points] if less else points)
    if more is not None:
        told[f"with twice the {unit}"] = (
            f"{score} of about {1 - more[1] if less else more[1]:.3f} on the held-out {unit} instead of "
            f"{points[-1][1]:.3f}, if the curve goes on as it does"
        )
    return told


def wish(weakest: dict[str, Any]) -> str:
    """How many more records of the class of the least recall would bring it to the recall that is wished."""
    rows, recall = weakest["curve"][-1]
    name, more = weakest["name"], needed(weakest["curve"])
    now = (
        f"{name!r} is found least often: recall {recall:.2f} from {int(rows):,} records (regression on frozen features)"
    )
    if more == 0:
        return f"{now}; no class needs more for a recall of {WISHED}"
    if more is None:
        return f"{now}; it did not grow with its records, so that other features would help more than more of them"
    if more == float("inf"):
        return f"{now}; {WISHED} would take more than {FARTHEST} times its records, if its curve goes on as it does"
    return f"{now}; about {rounded_up(more):,} more of them for a recall of {WISHED}, if its curve goes on as it does"
