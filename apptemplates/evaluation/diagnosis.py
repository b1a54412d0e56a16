"""What refits on frozen features tell of training data: labels that look wrong, and what more records would bring."""

from typing import Any

import numpy as np

MOST = 20_000  # rows that are looked at, drawn by chance
FOLDS = 5
SHARES = (0.0625, 0.125, 0.25, 0.5, 1.0)  # of the rows, for the curve
NOTHING: dict[str, Any] = {"rows": 0, "curve": [], "suspects": [], "wrong": None}
DRAWS = 3  # of each smaller share
FEWEST = 40  # rows of the smallest share
SHOWN = 100  # most suspect rows that are noted


def diagnose(
    features: np.ndarray,
    place: np.ndarray,
    held_out: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> dict[str, Any]:
    """What a logistic regression on features, learned again and again from parts of the rows, tells; plain JSON.

    Args:
        features: (n, d) float32 of training rows, made by what does not learn any more.
        place: (n,) number of the class that each row is labelled with.
        held_out: The same of rows that are judged.
        seed: Of what is drawn.

    Returns:
        `rows` looked at; `curve`, a list of [rows, accuracy on the held-out rows]; `suspects`, a list of
        [row, chance of its label], the least likely first; `wrong`, the estimated share of wrong labels.

    Reference: Northcutt et al., 2021, Confident Learning, arXiv:1911.00068; Hestness et al., 2017, Deep Learning
    Scaling is Predictable, Empirically, arXiv:1712.00409 (the power law of the curve).
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(place))[:MOST])
    known, code = np.unique(place[rows], return_inverse=True)
    counts = np.bincount(code)
    found: dict[str, Any] = {**NOTHING, "rows": len(rows)}
    if len(known) < 2 or counts.min() < 2:
        return found
    chances = out_of_fold(features[rows], code, min(FOLDS, int(counts.min())), seed)
    own = chances[np.arange(len(rows)), code]
    order = np.argsort(own, kind="stable")[:SHOWN]
    found["suspects"] = [[int(rows[row]), round(float(own[row]), 4)] for row in order]
    found["wrong"] = round(float(off_diagonal(chances, code).mean()), 4)
    judged = np.isin(held_out[1], known)
    if judged.any():
        held = held_out[0][judged], np.searchsorted(known, held_out[1][judged])
        found["curve"] = curve((features[rows], code), held, rng)
    return found


def regression(seed: int) -> Any:
    """An unfitted logistic regression on scaled features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300, random_state=seed))


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


def foreseen(points: list[list[float]], times: float = 2.0) -> tuple[float, float] | None:
    """Rows and accuracy with so many times the rows of the last point, by a power law; None where none can be told.

    The error falls as a power of the rows; what four points or more do not agree on is not foreseen.
    """
    if len(points) < 4:
        return None
    rows, error = np.array(points).T
    error = 1 - error
    if (error <= 0).any():
        return None
    slope = np.polyfit(np.log(rows), np.log(error), 1)[0]
    if slope >= 0:
        return None
    more = times * rows[-1]
    # the last point stands where it was measured
    return float(more), float(1 - error[-1] * times**slope)


def notes(found: dict[str, Any]) -> dict[str, str]:
    """The diagnosis in words, for a report."""
    told = {}
    if not found["rows"]:
        told["diagnosis"] = "left out: the records have no one class each"
    if found["wrong"] is not None:
        told["labels learned from that look wrong"] = (
            f"{found['wrong']:.1%} of {found['rows']:,} rows, by a regression on frozen features"
        )
    if found["curve"]:
        told["learning curve"] = "; ".join(f"{int(rows):,} rows {score:.3f}" for rows, score in found["curve"])
        more = foreseen(found["curve"])
        if more is not None:
            told["with twice the rows"] = (
                f"accuracy of about {more[1]:.3f} on the held-out rows instead of {found['curve'][-1][1]:.3f}, if the "
                "curve goes on as it does"
            )
    return told
