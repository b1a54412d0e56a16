"""What the numbers of a report come to, in three sentences that claim no more than the intervals allow."""

import math
from typing import TYPE_CHECKING

from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.metrics import LOWER_IS_BETTER, NEITHER_BETTER, is_better
from apptemplates.evaluation.wording import inside, measured, number, sentence

if TYPE_CHECKING:
    from apptemplates.evaluation.report import Report

#: Key of `Report.data` that counts test records already seen in training.
SEEN = "test records seen in training"


def verdict(report: "Report", headline: str) -> list[str]:
    """Whether it beats the baseline, where it is worst, and what would help most.

    Args:
        report: with metrics, and as much of baseline, groups, data and findings as was measured.
        headline: name of the metric to judge by.

    Returns:
        Three sentences.

    Raises:
        ValueError: where the report has no metric of that name.
    """
    if headline not in report.metrics:
        raise ValueError(f"verdict: there is no metric {headline!r}; the report has {', '.join(report.metrics)}.")
    return [against_baseline(report, headline), worst_place(report, headline), next_step(report, headline)]


def advantage(report: "Report", name: str) -> str:
    """How a metric stands against the baseline: "better", "worse", "unclear", or "" where it can not be compared.

    A paired difference decides where the baseline holds one (`baseline["difference"]`), else whether the two
    intervals lie apart.
    """
    ours, theirs = report.metrics[name], report.baseline.get("metrics", {}).get(name)
    if theirs is None or name in NEITHER_BETTER or math.isnan(ours.value) or math.isnan(theirs.value):
        return ""
    paired: Metric | None = report.baseline.get("difference", {}).get(name)
    if paired is not None and not math.isnan(paired.low):
        apart = paired.low > 0 or paired.high < 0
    elif math.isnan(ours.low) or math.isnan(theirs.low):
        return "unclear"
    else:
        apart = ours.low > theirs.high or ours.high < theirs.low
    if not apart:
        return "unclear"
    return "better" if is_better(name, ours.value, theirs.value) else "worse"


def against_baseline(report: "Report", headline: str) -> str:
    """The first sentence: how it stands against the simple method."""
    ours, theirs = report.metrics[headline], report.baseline.get("metrics", {}).get(headline)
    said = f"{sentence(headline)} is {measured(ours)}"
    if math.isnan(ours.value):
        return f"{sentence(headline)} is not defined on these records, so how good the answers are can not be told."
    if headline in NEITHER_BETTER:
        return f"{said}; how good the answers are can not be told without the truth of some records."
    if theirs is None or math.isnan(theirs.value):
        return f"{said}; no baseline was measured, so whether that is good can not be told from here."
    other = f"{report.baseline.get('name') or 'the baseline'} reaches {measured(theirs)}"
    standing = advantage(report, headline)
    if standing == "better":
        return f"{said}; {other}: better by {number(abs(ours.value - theirs.value))}, beyond what chance explains."
    if standing == "worse":
        return f"{said}; {other}: the simple method is better, beyond what chance explains, and should be used instead."
    return f"{said}; {other}: too close to call on these records."


def worst_place(report: "Report", headline: str) -> str:
    """The second sentence: the group or the kind of mistake where it is worst."""
    column, place = worst_group(report, headline)
    if place:
        groups = report.groups[column]
        value = float(groups.table.loc[groups.table["group"] == place, headline].iloc[0])
        gap = groups.gaps[headline]
        return (
            f"It is worst for {column} = {place} with {headline} {number(value)}, "
            f"{measured(Metric(abs(gap.value), gap.low, gap.high))} away from the best group of {column}."
        )
    mistakes = []
    if "recall" in report.metrics and not math.isnan(report.metrics["recall"].value):
        mistakes.append(f"misses {_share(1 - report.metrics['recall'].value)} of the cases it should find")
    if "precision" in report.metrics and not math.isnan(report.metrics["precision"].value):
        mistakes.append(f"{_share(1 - report.metrics['precision'].value)} of its alarms are needless")
    kind = f"It {' and '.join(mistakes)}" if mistakes else ""
    if any(headline in groups.gaps for groups in report.groups.values()):
        compared = " or ".join(name for name, groups in report.groups.items() if headline in groups.gaps)
        same = f"no difference in {headline} between groups of {compared} goes beyond what chance explains"
        return f"{kind}; {same}." if kind else f"{sentence(same)}."
    if report.groups:
        same = "no two groups have enough records to compare them"
    else:
        same = "groups were not compared (evaluate with by=)"
    return f"{kind}; {same}." if kind else f"{sentence(same)}."


def worst_group(report: "Report", headline: str) -> tuple[str, str]:
    """Column and group where the headline is worst by a gap beyond chance, the widest; ("", "") where there is none."""
    widest, found = 0.0, ("", "")
    for column, groups in report.groups.items():
        gap = groups.gaps.get(headline)
        if gap is not None and gap.low > 0 and gap.value > widest:
            low, high = groups.extremes[headline]
            widest, found = gap.value, (column, high if headline in LOWER_IS_BETTER else low)
    return found


def next_step(report: "Report", headline: str) -> str:
    """The third sentence: the one thing to do first."""
    seen = report.data.get(SEEN, 0)
    if seen:
        return (
            f"Measure again on new records first: {number(seen)} of these were already learned from, "
            "which flatters the numbers."
        )
    for severity in ("error", "warning"):
        for finding in report.findings:
            if finding.severity == severity and finding.fix:
                return f"What would help most: {inside(finding.fix)} ({finding.place or finding.code})."
    if headline in NEITHER_BETTER:
        return "What would help most is the truth of some records: only it can tell whether the answers are good."
    metric = report.metrics[headline]
    standing = advantage(report, headline)
    wide = not math.isnan(metric.low) and (metric.high - metric.low) > 0.25 * max(abs(metric.value), 1e-12)
    if math.isnan(metric.value):
        return "Evaluate on records that hold both kinds of truth."
    if standing == "worse":
        return "Use the simple method until there is more to learn from: more records, or columns that say more."
    if standing == "unclear" or wide:
        return (
            "What would help most is more labelled records to measure on: four times as many halve the interval, "
            "and until then small changes can not be told from chance."
        )
    column, place = worst_group(report, headline)
    if place:
        return f"What would help most is more records to learn from with {column} = {place}."
    ece = report.metrics.get("ECE")
    if ece is not None and not math.isnan(ece.low) and ece.low > 0.05:
        return (
            f"The probabilities are {_share(ece.value)} off on average: learn anew with more recent records held out, "
            "and until then trust the order of the answers more than their size."
        )
    return (
        "No single weakness stands out: more records to learn from, or columns that say something new, are what is "
        "left to try."
    )


def _share(value: float) -> str:
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"
