"""From a fitted template and records to a Report: the same for every template."""

from typing import Any

import numpy as np

from apptemplates.data.fingerprint import seen_before
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table, rows, take
from apptemplates.evaluation import audit, cost, figures, intervals
from apptemplates.evaluation.report import Report
from apptemplates.evaluation.verdict import SEEN, verdict


def assess(app: Any, table: Table, by: tuple[Any, ...]) -> Report:
    """How good a fitted template's answers to records are.

    Args:
        app: The template.
        table: Records as read.
        by: Columns, or tuples of columns, whose groups are compared.

    Raises:
        DataError: No record can be judged, or a column of `by` is not there.
    """
    records, problems = app.record.check(app.name, table, rows="mark")
    good = problems == ""
    if not good.any():
        raise DataError(f"{app.name}: no record can be judged; {problems[0] if len(problems) else 'there are none'}")
    groups = {name: grouped(app.name, table, columns)[good] for name, columns in ((named(b), b) for b in by)}
    records = take(records, good)
    queries, _ = app.make_trials(records)
    report = judge(app, records, app.prepare(queries, app.state_), groups)
    one, many = app._query, take(queries, slice(20_000))
    some = [{name: many[name][row] for name in one if name in many} for row in range(min(64, rows(many)))]
    report.latency = cost.latency(app.predict_one, some, repeats=300)
    report.latency["items_per_second"] = cost.throughput(lambda: app._answers(many), rows(many), repeats=1)
    report.data |= {"left out": int((~good).sum()), SEEN: seen_before(records, app.seen_)}
    if (~good).any():
        report.data["first left out"] = problems[~good][0]
    report.verdict = verdict(report, next(iter(report.metrics)))
    return report


def judge(app: Any, records: Table, inputs: Table, groups: dict[str, np.ndarray], repeats: int = 200) -> Report:
    """The Report of answers to prepared records.

    Args:
        app: A template whose decision is built.
        records: Canonical records.
        inputs: What `prepare` made of them.
        groups: Name -> the group (n,) of each record.
        repeats: Bootstrap draws.
    """
    _, truth = app.make_trials(records)
    answers = app.respond(inputs, app.call_, app.state_)
    simple = app.baseline(app.baseline_, inputs)
    clusters = app.clusters(records)
    measured = intervals.bootstrap(app.score, truth, answers, clusters, repeats)
    headline = app.headline if app.headline in measured else next(iter(measured))
    report = Report(title=app.card.title, metrics={headline: measured[headline], **measured})
    report.baseline = {
        "name": app.baseline_name,
        "metrics": intervals.bootstrap(app.score, truth, simple, clusters, repeats),
        "difference": intervals.difference(app.score, truth, answers, simple, clusters, repeats),
    }
    report.groups = {
        name: audit.by_group(app.score, truth, answers, values, groups=clusters) for name, values in groups.items()
    }
    report.calibration = {name: report.metrics[name] for name in ("ECE", "Brier score") if name in report.metrics}
    if "temperature" in app.learned_:
        report.calibration["temperature"] = app.learned_["temperature"]
    report.size = cost.size(app.model_)
    report.data = {"records": rows(records)}
    report.data |= {f"learned from: {name}": n for name, n in app.learned_["data"].items() if name != "fingerprint"}
    report.findings = [finding for finding in app._inspect(records) if finding.severity != "note"]
    report.figures = app.figures(truth, answers)
    report.figures += [figures.group_bars(group, headline, name) for name, group in report.groups.items()]
    if app.history_:
        report.figures.append(figures.learning_curves(app.history_))
    report.verdict = verdict(report, headline)
    return report


def named(columns: Any) -> str:
    """How a column, or a crossing of several, is called."""
    return columns if isinstance(columns, str) else " x ".join(columns)


def grouped(owner: str, table: Table, columns: Any) -> np.ndarray:
    """The groups (n,) of a column, or of several crossed."""
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    for name in names:
        if name not in table:
            raise DataError(
                f"{owner}: by= names column {name!r}, which is not there; there are {', '.join(map(repr, table))}."
            )
    if len(names) == 1:
        return np.asarray(table[names[0]])
    return np.array([", ".join(map(str, row)) for row in zip(*(table[name] for name in names), strict=True)], object)


def preflight(app: Any, source: Any, labels: Any) -> Report:
    """What is wrong or odd with data before anything is learned from them."""
    fresh = app.clone()
    table = fresh._read(source, labels)
    fresh.columns_ = fresh._own_columns(table)
    records, problems = fresh.record.check(fresh.name, table, rows="mark")
    findings = fresh._inspect(take(records, problems == "")) if (problems == "").any() else []
    bad = problems[problems != ""]
    return check_report(fresh, records, findings, bad)


def check_report(app: Any, records: Table, findings: list, bad: np.ndarray) -> Report:
    """The Report of a check."""
    import pandas as pd

    from apptemplates.data.preflight import Finding

    if len(bad):
        fix = "correct or remove those rows; fit refuses them"
        findings = [
            Finding("bad-values", "error", f"{len(bad):,} rows", f"{len(bad):,} rows can not be read: {bad[0]}", fix),
            *findings,
        ]
    worst = "error" if any(f.severity == "error" for f in findings) else "warning" if findings else ""
    says = {
        "error": f"fit would refuse these data: {next((f.message for f in findings if f.severity == 'error'), '')}",
        "warning": f"fit would accept these data; {len(findings)} things are worth a look.",
        "": "fit would accept these data; nothing odd was found.",
    }
    size = sum(column.nbytes for column in records.values())
    return Report(
        title=f"{app.card.title}: the data",
        kind="check",
        verdict=[says[worst]],
        findings=findings,
        data={"rows": rows(records), "columns": len(records), "megabytes": round(size / 1e6, 1)},
        table=pd.DataFrame([{"column": n, "kind": f.kind, "meaning": f.meaning} for n, f in app.record.items()]),
    )
