"""From a fitted template and records to a Report: the same for every template."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from apptemplates.contract import Part, readable
from apptemplates.data import crossings, traits
from apptemplates.data.fingerprint import seen_before
from apptemplates.data.preflight import Finding, in_order, left_out
from apptemplates.data.schema import DataError, Schema
from apptemplates.data.table import Table, rows, take
from apptemplates.evaluation import audit, certainty, cost, diagnosis, figures, intervals, slices, suspects
from apptemplates.evaluation.report import Report
from apptemplates.evaluation.verdict import SEEN, verdict

SECONDS = 3.0  # in which single answers are timed


def assess(app: Any, table: Table, by: tuple[Any, ...]) -> Report:
    """How good a fitted template's answers to records are.

    Args:
        app: The template.
        table: Records as read.
        by: Columns, or tuples of columns, whose groups are compared.

    Raises:
        DataError: No record can be judged, or a column of `by` is not there.
    """
    trials = make_trials(app, table, by)
    answers = app.respond(trials.inputs, app.call_, app.state_)
    stated = app.stated(trials.truth, trials.inputs, answers)
    report = judge(app, trials.truth, trials.inputs, trials.clusters, trials.groups, answers=answers, stated=stated)
    report.findings = trials.findings
    app.extend_report(report, trials.truth, trials.inputs)
    held = cost.resident()
    if not np.isnan(held):
        report.size["process_megabytes"] = round(held)  # with TensorFlow and the records that are judged
    one, many = app._query, take(trials.queries, slice(20_000))
    some = [{name: many[name][row] for name in one if name in many} for row in range(min(64, rows(many)))]
    report.latency = cost.latency(app.predict_one, some, repeats=300, seconds=SECONDS)
    report.latency["items_per_second"] = cost.throughput(lambda: app._answers(many), rows(many), repeats=1, warm=True)
    seen = seen_before(trials.records, trials.inputs, app.seen_)
    report.data |= {"left out": len(trials.left_out), SEEN: None if seen is None else int(seen.sum())}
    headline = next(iter(report.metrics))
    if seen is not None and seen.any() and not seen.all() and len(seen) == rows(trials.truth):
        report.data[f"{headline} without them"] = unseen(app, trials, ~seen, headline)
    look_closer(app, report, trials, answers, stated, headline)
    if trials.left_out:
        report.data["first left out"] = trials.left_out[0]
    report.findings = in_order(report.findings)
    report.verdict = verdict(report, headline)
    return report


def unseen(app: Any, trials: "Trials", kept: np.ndarray, headline: str) -> intervals.Metric:
    """The headline of the trials that were not learned from."""
    answers = app.respond(take(trials.inputs, kept), app.call_, app.state_)
    clusters = None if trials.clusters is None else trials.clusters[kept]
    return intervals.measured(app.score, take(trials.truth, kept), answers, clusters)[headline]


def look_closer(
    app: Any, report: Report, trials: "Trials", answers: Table, stated: certainty.Stated | None, headline: str
) -> None:
    """Adds to a report whether these records are like those learned from, where answers are worst, and odd labels."""
    here = app.traits(trials.queries, trials.inputs)
    indices = traits.drift(app.learned_.get("profile", {}), here)
    if indices:
        name, largest = next(iter(indices.items()))
        report.notes["drift, largest stability index"] = f"{largest:.3f} ({name})"
        report.findings += traits.drifted(indices)
    report.notes |= slices.worst(app.score, trials.truth, answers, here, headline)
    chance = None if stated is None else stated.of_label()
    if chance is not None:
        said = next(answers[name] for name in app.answer if name not in ("probability", "problem"))
        known = trials.records if rows(trials.records) == len(chance) else trials.truth
        report.suspects = suspects.table(chance, known, said)
        kind = app.record[app._media].kind if app._media else ""
        if kind in trials.inputs and len(trials.inputs[kind]) == len(chance):
            report.figures.append(suspects.pictures(trials.inputs[kind], report.suspects, getattr(app, app.target)))


@dataclass
class Trials:
    """Questions with their truth: canonical, prepared, and grouped."""

    records: Table
    queries: Table
    truth: Table
    inputs: Table
    clusters: np.ndarray | None
    groups: dict[str, np.ndarray]
    left_out: list[str]
    findings: list[Any]


def make_trials(app: Any, table: Table, by: tuple[Any, ...]) -> Trials:
    """The trials of records, or those that stand ready in the table."""
    ready = app.truth is not None and all(name in table for name in app.truth)
    schema = Schema.of(app.query | app.truth) if ready else app.record
    records, problems = schema.check(app.name, table, rows="mark")
    good = problems == ""
    if not good.any():
        raise DataError(f"{app.name}: no record can be judged; {problems[0] if len(problems) else 'there are none'}")
    groups = {named(columns): grouped(app.name, table, columns)[good] for columns in by}
    records = take(records, good)
    findings = [finding for finding in app._inspect(records) if finding.severity != "note"]
    clusters = None
    if ready:
        queries, truth = ({name: records[name] for name in names} for names in (app.query, app.truth))
    else:
        queries, truth = app.make_trials(records)
        clusters = app.clusters(records)
        groups = {name: app.trial_groups(records, values) for name, values in groups.items()}
    inputs, unread = readable(app.prepare(queries, app.state_))
    left_out = list(problems[~good])
    if unread is not None:
        left_out += list(unread[unread != ""])
        kept = unread == ""
        if not kept.any():
            raise DataError(f"{app.name}: no record can be judged; {left_out[-1]}")
        queries, truth = take(queries, kept), take(truth, kept)
        records = take(records, kept) if rows(records) == len(kept) else records
        clusters = None if clusters is None else clusters[kept]
        groups = {name: values[kept] for name, values in groups.items()}
    return Trials(records, queries, truth, inputs, clusters, groups, left_out, findings)


def judge(
    app: Any,
    truth: Table,
    inputs: Table,
    clusters: np.ndarray | None,
    groups: dict[str, np.ndarray],
    repeats: int = 200,
    answers: Table | None = None,
    stated: certainty.Stated | None = None,
) -> Report:
    """The Report of answers to prepared trials.

    Args:
        app: A template whose decision is built.
        truth: What the answers are judged by.
        inputs: What `prepare` made of the queries.
        clusters: Who each trial (n,) belongs to, or None.
        groups: Name -> the group (n,) of each trial.
        repeats: Bootstrap draws.
        answers: To these trials, where they are known already.
        stated: What `app.stated` gave of these answers, where it is known already.
    """
    answers = app.respond(inputs, app.call_, app.state_) if answers is None else answers
    simple = app.baseline(app.baseline_, inputs)
    measured = intervals.measured(app.score, truth, answers, clusters, repeats)
    headline = app.headline if app.headline in measured else next(iter(measured))
    report = Report(title=app.card.title, metrics={headline: measured[headline], **measured})
    report.baseline = {
        "name": app.baseline_name,
        "metrics": intervals.measured(app.score, truth, simple, clusters, repeats),
        "difference": intervals.difference(app.score, truth, answers, simple, clusters, repeats),
    }
    report.groups = {
        name: audit.by_group(app.score, truth, answers, values, groups=clusters) for name, values in groups.items()
    }
    report.calibration = {name: report.metrics[name] for name in ("ECE", "Brier score") if name in report.metrics}
    if "diagnosis" in app.learned_:
        report.notes |= diagnosis.notes(app.learned_["diagnosis"])
    report.size = cost.size(app.model_)
    report.data = {"records": rows(truth)}
    report.data |= {f"learned from: {name}": n for name, n in app.learned_["data"].items() if name != "fingerprint"}
    report.figures = app.figures(truth, answers)
    stated = app.stated(truth, inputs, answers) if stated is None else stated
    if stated is not None:
        certainty.add(report, stated)
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


def preflight(app: Any, source: Any, labels: Any, probe: bool, validation: Any = None) -> Report:
    """What is wrong or odd with data before anything is learned from them, and with `probe` what a fit would take."""
    fresh, began = app.clone(), time.monotonic()
    table = fresh._read(source, labels)
    fresh.columns_ = fresh._own_columns(table)
    records, problems = fresh.record.check(fresh.name, table, rows="mark")
    bad, good, findings = problems[problems != ""], take(records, problems == ""), []
    inputs: Table = {}
    if rows(good):
        findings = fresh._inspect(good)
        if fresh._media:
            inputs, unread = readable(fresh.prepare_records(good, fresh.open_state({})))
            if unread is not None:
                findings.append(left_out(list(unread[unread != ""])))
                good = take(good, unread == "")
            findings = in_order(findings + fresh.look(good, inputs))
    if validation is not None and rows(good):
        held_out, unfit = fresh.record.check(fresh.name, fresh._read(validation), rows="mark")
        first = Part(good, inputs, fresh.prepare)  # whose media are decoded already
        second = Part.of(fresh, take(held_out, unfit == ""), fresh.open_state({}))
        findings += [left_out(list(second.left_out))] if second.left_out else []
        findings = in_order(findings + crossings.findings(fresh, first, second, given=True))
        bad = np.concatenate([bad, unfit[unfit != ""]])
    report = check_report(fresh, records, findings, bad)
    if probe and rows(good) and not any(finding.severity == "error" for finding in report.findings):
        probed(report, fresh, good, time.monotonic() - began)
    return report


def probed(report: Report, app: Any, records: Table, seconds: float) -> None:
    """Adds what a short fit of a part of the records tells of a fit of all of them, or why it can not tell."""
    from apptemplates import probe
    from apptemplates.training import TrainingError

    try:
        told = probe.estimate(app, records, seconds)
    except (DataError, TrainingError) as error:
        report.notes["fit would take"] = f"can not be told, since a short fit of a part of the records failed: {error}"
        return
    report.notes |= told.notes()
    report.verdict.append(told.sentence())


def worth_a_look(number: int) -> str:
    """How many findings there are, in words."""
    return "one thing is" if number == 1 else f"{number} things are"


def check_report(app: Any, records: Table, findings: list, bad: np.ndarray) -> Report:
    """The Report of a check."""
    import pandas as pd

    if len(bad):
        fix = "correct or remove those rows; fit refuses them"
        findings = [
            Finding("bad-values", "error", f"{len(bad):,} rows", f"{len(bad):,} rows can not be read: {bad[0]}", fix),
            *findings,
        ]
    worst = "error" if any(f.severity == "error" for f in findings) else "warning" if findings else ""
    says = {
        "error": f"fit would refuse these data: {next((f.message for f in findings if f.severity == 'error'), '')}",
        "warning": f"fit would accept these data; {worth_a_look(len(findings))} worth a look.",
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
