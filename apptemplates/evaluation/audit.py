"""Whether the answers are as good for everyone: every metric by group, and the gaps between groups."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.evaluation.intervals import Metric, Score, Table, interval, open_ended, resamples

#: Groups shown one by one; of more, the smallest are put together.
MOST_GROUPS = 20


@dataclass
class Groups:
    """Metrics of each group of one column, and how far the groups lie apart.

    Attributes:
        table: one row a group, the largest first (quarters of numbers: the lowest first): `group`, `rows`, `small`
            (too few rows to judge by), and for every metric the columns `<name>`, `<name> low`, `<name> high`.
        gaps: metric name -> value of the highest group minus that of the lowest, with its interval. Small groups and
            groups put together as others are left out; there is no gap where fewer than two groups remain.
        extremes: metric name -> (lowest group, highest group) of that gap.
    """

    table: pd.DataFrame
    gaps: dict[str, Metric] = field(default_factory=dict)
    extremes: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the metrics, in their order."""
        columns = list(self.table.columns)
        return [name for name in columns if f"{name} low" in columns and f"{name} high" in columns]

    def to_dict(self) -> dict[str, Any]:
        """The same as nested lists and dicts of plain values."""
        return {
            "table": {"columns": list(self.table.columns), "rows": self.table.astype(object).to_numpy().tolist()},
            "gaps": {name: gap._asdict() for name, gap in self.gaps.items()},
            "extremes": {name: list(pair) for name, pair in self.extremes.items()},
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Groups":
        """The groups that `to_dict` wrote."""
        table = pd.DataFrame(content["table"]["rows"], columns=content["table"]["columns"])
        numbers = [name for name in table.columns if name not in ("group", "rows", "small")]
        nan = float("nan")
        return cls(
            table.astype(dict.fromkeys(numbers, float)),
            {
                name: Metric(*(nan if part is None else part for part in (gap["value"], gap["low"], gap["high"])))
                for name, gap in content["gaps"].items()
            },
            {name: (pair[0], pair[1]) for name, pair in content["extremes"].items()},
        )


def by_group(
    score: Score,
    truth: Table,
    answers: Table,
    values: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    repeats: int = 200,
    smallest: int = 50,
    seed: int = 0,
) -> Groups:
    """Every number of a score for each group of a column, with intervals and the gaps between groups.

    Args:
        score: pure function of (truth, answers) that gives named numbers.
        truth: arrays with n rows each.
        answers: arrays with n rows each.
        values: (n,) the column to group by: names, or numbers. More than 12 distinct numbers are cut into quarters of
            as many rows; of more than 20 names the rarest are put together. None, NaN, NaT and "" are a group
            "missing".
        groups: (n,) ids of rows that are drawn together (a person, a patient), or None.
        repeats: bootstrap draws of each group.
        smallest: groups with fewer rows are shown and marked small, and left out of the gaps.
        seed: of the draws.

    Returns:
        The `Groups`. A gap is that between the two groups which lie furthest apart here, its interval that of their
        difference: one that holds 0 is no evidence of a difference. With many groups some pair always lies apart, so
        read an interval that barely leaves 0 with care.

    Raises:
        ValueError: where `values` does not have one value a row.
    """
    truth, answers = dict(truth), dict(answers)
    names, order, others = _group_names(np.asarray(values))
    lengths = {len(column) for table in (truth, answers) for column in table.values()}
    if lengths != {len(names)}:
        raise ValueError(f"by_group: values has {len(names):,} rows, truth and answers have {sorted(lengths)}.")

    table: list[dict[str, Any]] = []
    draws: dict[str, dict[str, list[float]]] = {}
    for place, group in enumerate(order):
        member = np.flatnonzero(names == group)
        value = score(*_rows(member, truth, answers))
        drawn: dict[str, list[float]] = {name: [] for name in value}
        ids = None if groups is None else np.asarray(groups)[member]
        for rows in resamples(len(member), ids, repeats, (seed, place)):
            for name, number in score(*_rows(member[rows], truth, answers)).items():
                drawn[name].append(number)
        row = {"group": group, "rows": len(member), "small": len(member) < smallest}
        found = {name: interval(number, drawn[name]) for name, number in value.items()}
        for name, metric in open_ended(found, score, *_rows(member, truth, answers), ids).items():
            row |= {name: metric.value, f"{name} low": metric.low, f"{name} high": metric.high}
        table.append(row)
        draws[group] = drawn

    result = Groups(pd.DataFrame(table))
    judged = [row for row in table if not row["small"] and row["group"] != others]
    for name in result.names:
        defined = [row for row in judged if not np.isnan(row[name])]
        if len(defined) < 2:
            continue
        low, high = min(defined, key=lambda row: row[name]), max(defined, key=lambda row: row[name])
        above, below = np.asarray(draws[high["group"]][name]), np.asarray(draws[low["group"]][name])
        comparable = len(above) == len(below)  # a group that is one person has no draws
        result.gaps[name] = interval(high[name] - low[name], above - below if comparable else [])
        result.extremes[name] = (low["group"], high["group"])
    return result


def _rows(rows: np.ndarray, truth: Table, answers: Table) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    return {name: column[rows] for name, column in truth.items()}, {
        name: column[rows] for name, column in answers.items()
    }


def _group_names(values: np.ndarray) -> tuple[np.ndarray, list[str], str]:
    """Name of each row's group, the groups in order, and the name of the group of rare ones ("": there is none)."""
    missing = pd.isna(values) | (values == "") if values.dtype == object else pd.isna(values)
    names = np.full(len(values), "missing", dtype=object)
    known = values[~missing]
    if known.dtype.kind in "iuf" and len(np.unique(known)) > 12:
        quarter, order = _quarters(known.astype(np.float64))
        names[~missing] = np.array(order, dtype=object)[quarter]
        return names, order + ["missing"] * bool(missing.any()), ""
    if known.dtype.kind in "fb":  # 1.0 and True read as 1
        names[~missing] = [f"{value:g}" for value in known.astype(np.float64)]
    else:
        names[~missing] = [str(value) for value in known]
    names[names == ""] = "missing"
    order = list(pd.Series(names).value_counts().index)
    if len(order) <= MOST_GROUPS:
        return names, order, ""
    kept, rare = order[: MOST_GROUPS - 1], set(order[MOST_GROUPS - 1 :])
    others = f"{len(rare):,} others"
    return np.array([others if name in rare else name for name in names], dtype=object), [*kept, others], others


def _quarters(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The quarter each number falls into, cut at values so that equal numbers stay together, and their names."""
    edges = np.unique(np.quantile(values, [0.25, 0.5, 0.75]))
    quarter = np.unique(np.searchsorted(edges, values, "right"), return_inverse=True)[1]
    inside = [values[quarter == part] for part in range(quarter.max() + 1)]
    return quarter, [f"{part.min():.6g} to {part.max():.6g}" for part in inside]
