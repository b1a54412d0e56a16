"""Whether an explanation is of what was learned: with shuffled weights it must become another one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from apptemplates.data.table import Table, rows, take
from apptemplates.evaluation import intervals
from apptemplates.evaluation.report import Report

ROWS = 24  # answers that are explained once more
# rank agreement above which an explanation is in part, or as a whole, not of what was learned
PART, MOST = 0.3, 0.7
NOTE = "rank agreement with shuffled weights"


def check(app: Any, report: Report, records: Table) -> None:
    """Explains again by a template whose weights are shuffled, and adds to the report how much stays the same.

    Args:
        app: A fitted template.
        report: What `make_explanation` gave for these records.
        records: What was explained.

    Reference: Adebayo et al., 2018, Sanity Checks for Saliency Maps, arXiv:1810.03292.
    """
    few = take(records, slice(ROWS))
    ours = report.attributions if rows(few) == rows(records) else app.attributions(few)
    same = agreement(ours, shuffled(app).attributions(few))
    if same is None:
        report.verdict.append("Whether the explanation is of what was learned was not measured: it has too few parts.")
        return
    report.notes[NOTE] = same
    report.verdict.append(said(same))


def said(same: intervals.Metric) -> str:
    """The agreement in words."""
    highest = same.high if np.isfinite(same.high) else same.value
    agree = f"(rank agreement {same.value:.2f} of 1)"
    if highest < PART:
        return f"With shuffled weights the explanation becomes another one {agree}, so it is of what was learned."
    if highest < MOST:
        return f"With shuffled weights part of the explanation stays {agree}: that part is not of the network."
    return f"Do not rely on the explanation: with shuffled weights it stays much the same {agree}."


def shuffled(app: Any) -> Any:
    """A template beside a fitted one whose network's weights are the same numbers in other places."""
    from apptemplates.deploy import fast
    from apptemplates.learning import copied

    twin = app.clone()
    twin.__dict__.update(app.__dict__)
    twin.model_ = copied(app.model_)
    inside = app.network_in(twin.model_)
    twin.network_ = copied(app.network_) if inside is None and app.network_ is not None else inside
    twin.preprocessor_ = twin.model_.get_layer("preprocessor")
    done = {id(variable) for variable in twin.preprocessor_.variables}
    random = np.random.default_rng(0)
    parts = [twin.model_] if twin.network_ is None else [twin.model_, twin.network_]
    for variable in (variable for part in parts for variable in part.variables):
        value = np.asarray(variable)
        # what is learned in closed form is a matrix that no gradient changes
        learned = variable.trainable or (value.ndim > 1 and value.dtype.kind == "f")
        if learned and id(variable) not in done:
            done.add(id(variable))
            variable.assign(random.permutation(value.ravel()).reshape(value.shape))
    twin.call_, twin.fast_ = fast.batch(twin.model_), None
    return twin


def agreement(ours: Mapping[str, list], theirs: Mapping[str, list]) -> intervals.Metric | None:
    """The mean rank correlation (Spearman) of attributions of the same answers; None where none can be compared."""
    found = [
        spearman(np.asarray(one, "float64"), np.asarray(other, "float64"))
        for name, own in ours.items()
        for one, other in zip(own, theirs[name], strict=True)
        if len(one) > 2 and len(one) == len(other) and np.ptp(one) > 0
    ]
    if not found:
        return None
    values = np.array(found)
    draws = [float(values[drawn].mean()) for drawn in intervals.resamples(len(values), None, 200, 0)]
    return intervals.interval(float(values.mean()), draws)


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of the ranks, -1 to 1; 0 where all of the other are equal."""
    import pandas as pd

    first, second = (pd.Series(values).rank().to_numpy() for values in (one, other))
    if np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
