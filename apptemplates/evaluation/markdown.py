"""A report as Markdown, for a model card or a pull request."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from apptemplates.evaluation.verdict import advantage
from apptemplates.evaluation.wording import measured, number, plain, span

if TYPE_CHECKING:
    from apptemplates.evaluation.report import Report

#: Rows of a long table that are written out; the JSON form has all.
MOST_ROWS = 50


def markdown(report: "Report") -> str:
    """The report as Markdown text: verdict, metrics, groups, findings, tables; figures are left to the page."""
    parts = [f"# {_cell(report.title)}"]
    if report.verdict:
        parts.append("\n".join(f"* {_cell(sentence)}" for sentence in report.verdict))
    if report.findings:
        rows = [[f.severity, f.code, f.place, f.message, f.fix] for f in report.findings]
        parts += ["## Findings", grid(["severity", "finding", "where", "what", "what to do"], rows)]
    if report.metrics:
        parts += ["## Metrics", _metrics(report)]
    for column, groups in report.groups.items():
        parts += [f"## By {_cell(column)}", _groups(groups)]
        for name, gap in groups.gaps.items():
            low, high = groups.extremes[name]
            parts.append(f"* {_cell(name)}: {_cell(high)} lies {measured(gap)} above {_cell(low)}")
    for heading, values in sections(report).items():
        if values:
            parts += [f"## {heading}", grid(["", "value"], [[name, plain(value)] for name, value in values.items()])]
    for heading, table in report.tables.items():
        if table is None or not len(table):
            continue
        shown = table.head(MOST_ROWS)
        parts += [f"## {heading}", grid(list(shown.columns), [[plain(cell) for cell in row] for row in _rows(shown)])]
        if len(table) > MOST_ROWS:
            parts.append(f"The first {MOST_ROWS} of {len(table):,} rows.")
    return "\n\n".join(parts) + "\n"


def sections(report: "Report") -> dict[str, dict[str, Any]]:
    """Heading -> names and values, of the parts of a report that are small tables."""
    shown = {name: value for name, value in report.calibration.items() if not isinstance(value, dict | pd.DataFrame)}
    return {
        "Calibration": {
            name: value for name, value in shown.items() if not hasattr(value, "__len__") or is_text(value)
        },
        "Speed": {SPEED.get(name, name): value for name, value in report.latency.items()},
        "Size": report.size,
        "Data": report.data,
        "Notes": report.notes,
    }


#: What the keys of `Report.latency` are called.
SPEED = {
    "p50_ms": "one answer, median, ms",
    "p99_ms": "one answer, slowest 1 in 100, ms",
    "items_per_second": "answers a second in a batch",
}


def is_text(value: Any) -> bool:
    """Whether a value is one thing to read: text, or a metric."""
    return isinstance(value, str) or hasattr(value, "_fields")


def grid(head: list[Any], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _metrics(report: "Report") -> str:
    theirs = report.baseline.get("metrics", {})
    if not theirs:
        return grid(
            ["metric", "value", "95 % interval"], [[n, number(m.value), span(m)] for n, m in report.metrics.items()]
        )
    rows = [
        [
            name,
            number(metric.value),
            span(metric),
            measured(theirs[name]) if name in theirs else "",
            advantage(report, name),
        ]
        for name, metric in report.metrics.items()
    ]
    return grid(["metric", "value", "95 % interval", report.baseline.get("name") or "baseline", "against it"], rows)


def _groups(groups: Any) -> str:
    rows = []
    for row in groups.table.to_dict("records"):
        name = f"{row['group']} (few rows)" if row["small"] else row["group"]
        rows.append([name, number(row["rows"]), *(number(row[metric]) for metric in groups.names)])
    return grid(["group", "rows", *groups.names], rows)


def _rows(table: pd.DataFrame) -> list[list[Any]]:
    return table.astype(object).to_numpy().tolist()


def _cell(value: Any) -> str:
    text = " ".join(str(value).split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
