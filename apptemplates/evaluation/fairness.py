"""Whether decisions fall evenly on groups: the usual differences and ratios, and the four-fifths rule."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from apptemplates.data.preflight import Finding
from apptemplates.evaluation.audit import Groups

FOUR_FIFTHS = 0.8


def notes(groups: Mapping[str, Groups]) -> dict[str, float]:
    """For each column: how far its groups lie apart in decisions and in errors; groups too small to judge left out.

    Demographic parity: the largest difference, and the smallest ratio, of two groups' rates of alarms. Equalized odds:
    the larger of the differences in recall and in the rate of false alarms.

    Reference: Hardt et al., 2016, Equality of Opportunity in Supervised Learning, arXiv:1610.02413; definitions as in
    Fairlearn.
    """
    found = {}
    for column, each in groups.items():
        judged = each.table[~each.table["small"].astype(bool)]
        if len(judged) < 2 or "alarm rate" not in judged:
            continue
        rates = judged["alarm rate"].to_numpy(float)
        found[f"{column}: demographic parity difference"] = spread(rates)
        found[f"{column}: demographic parity ratio"] = ratio(rates)
        if "recall" in judged:  # nobody knows who should have been chosen where there are no labels
            errors = [spread(judged[name].to_numpy(float)) for name in ("recall", "false alarm rate")]
            found[f"{column}: equalized odds difference"] = max(errors)
    return found


def add(report: Any, sensitive: Iterable[str]) -> None:
    """Adds to a report how evenly decisions fall on its groups, and what breaks the rule of thumb."""
    report.notes |= notes(report.groups)
    report.findings += findings(report.groups, sensitive)


def spread(rates: np.ndarray) -> float:
    """The largest difference of two rates."""
    return float(np.nanmax(rates) - np.nanmin(rates)) if np.isfinite(rates).any() else float("nan")


def ratio(rates: np.ndarray) -> float:
    """The lowest rate over the highest; NaN where nobody is chosen."""
    highest = np.nanmax(rates) if np.isfinite(rates).any() else 0.0
    return float(np.nanmin(rates) / highest) if highest > 0 else float("nan")


def findings(groups: Mapping[str, Groups], sensitive: Iterable[str]) -> list[Any]:
    """A warning for each sensitive column, or crossing of them, whose decisions break the four-fifths rule.

    A rule of thumb of the Uniform Guidelines on Employee Selection Procedures (1978): no group is chosen at less than
    four fifths of the rate of another. It is told where the gap is also beyond what chance explains.
    """
    known, found = set(sensitive), []
    for column, each in groups.items():
        gap = each.gaps.get("alarm rate")
        if not set(column.split(" x ")) <= known or gap is None or not gap.low > 0:
            continue
        rates = each.table.set_index("group")["alarm rate"]
        low, high = each.extremes["alarm rate"]
        share = ratio(np.array([rates[low], rates[high]], float))
        if share < FOUR_FIFTHS:
            found.append(
                Finding(
                    "four-fifths-rule", "warning", column,
                    f"{low} has a rate of alarms of {rates[low]:.1%}, {high} of {rates[high]:.1%}: a ratio of "
                    f"{share:.2f}, below the four fifths that are often asked for.",
                    "Find out why; mitigate= closes the gap at the cost that the report's frontier shows.",
                )
            )  # fmt: skip
    return found
