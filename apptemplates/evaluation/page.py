"""A report as one self-contained web page: nothing is fetched, it reads on paper, on a phone and without colour."""

import base64
import io
import math
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from apptemplates.evaluation.audit import Groups
from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.markdown import sections
from apptemplates.evaluation.metrics import LOWER_IS_BETTER
from apptemplates.evaluation.page_style import STYLE
from apptemplates.evaluation.verdict import advantage
from apptemplates.evaluation.wording import measured, number, plain, span

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from apptemplates.evaluation.report import Report

#: Rows of a long table, and items of a long list, that are written out; the JSON form has all.
MOST_ROWS, MOST_ITEMS = 100, 12
#: Metrics shown large, and rows up to which a table is shown opened.
MOST_CARDS, FEW_ROWS = 4, 12
#: Bytes of a figure drawn with lines from which drawing it with points, too, is worth the time.
MUCH = 64_000

STANDING = {"better": "▲ better", "worse": "▼ worse", "unclear": "≈ too close to call"}
# what a reader looks for first
ORDER = {
    "evaluation": ("headline", "metrics", "findings", "figures", "groups", "facts", "table"),
    "training": ("headline", "metrics", "findings", "figures", "groups", "facts", "table"),
    "check": ("findings", "headline", "metrics", "facts", "table", "figures", "groups"),
    "explanation": ("headline", "metrics", "figures", "table", "facts", "findings", "groups"),
}


def page(report: "Report") -> str:
    """The whole page.

    Args:
        report: any; parts that are empty are left out.

    Returns:
        HTML that needs no other file and may fetch none.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(report.title)}</title>\n<style>body {{ margin: 0 }}</style>\n</head>\n<body>\n"
        f"{fragment(report)}\n</body>\n</html>\n"
    )


def fragment(report: "Report") -> str:
    """The report without a page around it, for a notebook; its style touches nothing else."""
    parts: dict[str, Callable[[Report], str]] = {
        "headline": _headline,
        "metrics": _metrics,
        "findings": _findings,
        "figures": _figures,
        "groups": _groups,
        "facts": _facts,
        "table": _table,
    }
    body = "\n".join(filter(None, (parts[name](report) for name in ORDER[report.kind])))
    return (
        f"<style>{STYLE}</style>\n"
        f'<article class="at-report">\n<header>\n<p class="kind">{escape(report.kind)}</p>\n'
        f"<h1>{escape(report.title)}</h1>\n</header>\n{_verdict(report)}\n{body}\n{_footer(report)}\n</article>"
    )


def _verdict(report: "Report") -> str:
    if not report.verdict:
        return ""
    first, *others = [f"<p>{escape(sentence)}</p>" for sentence in report.verdict]
    return f'<section class="verdict" aria-label="Verdict">{first}{"".join(others)}</section>'


def _headline(report: "Report") -> str:
    """The first metrics, large."""
    if not report.metrics:
        return ""
    theirs = report.baseline.get("metrics", {})
    cards = []
    for name, metric in list(report.metrics.items())[:MOST_CARDS]:
        lines = [f'<h3>{escape(name)}</h3><p class="value">{number(metric.value)}</p>']
        lines.append(f'<p class="quiet">{span(metric) or "no interval"}</p>')
        lines.append(_track(metric, theirs.get(name)))
        if name in theirs:
            lines.append(f'<p class="quiet">baseline {number(theirs[name].value)} {_standing(report, name)}</p>')
        cards.append(f'<div class="card">{"".join(lines)}</div>')
    return f'<section class="cards" aria-label="Headline numbers">{"".join(cards)}</section>'


def _metrics(report: "Report") -> str:
    """All metrics beside the baseline's."""
    theirs = report.baseline.get("metrics", {})
    if len(report.metrics) <= MOST_CARDS and not theirs:
        return ""  # the cards said it all
    head = '<th scope="col">Metric</th><th scope="col" class="n">Value</th><th scope="col" class="wide"></th>'
    if theirs:
        head += '<th scope="col" class="n">Baseline</th><th scope="col">Against it</th>'
    rows = []
    for name, metric in report.metrics.items():
        less = ' <small class="quiet">less is better</small>' if name in LOWER_IS_BETTER else ""
        cells = f'<th scope="row">{escape(name)}{less}</th>{_measured_cell(metric)}'
        cells += f'<td class="wide">{_track(metric, theirs.get(name))}</td>'
        if theirs:
            cells += _measured_cell(theirs[name], kind="n base") if name in theirs else "<td></td>"
            cells += f"<td>{_standing(report, name)}</td>"
        rows.append(f"<tr>{cells}</tr>")
    method = (
        f'<p class="quiet">The baseline is {escape(str(report.baseline["name"]))}.</p>'
        if report.baseline.get("name")
        else ""
    )
    return _section("Metrics", method + _grid(head, rows))


def _standing(report: "Report", name: str) -> str:
    standing = advantage(report, name)
    return f'<span class="{standing}">{STANDING[standing]}</span>' if standing else ""


def _track(metric: Metric, theirs: Metric | None) -> str:
    """A line from 0 to 1 with the interval, the value and the baseline on it; nothing where they lie elsewhere."""
    places = [part for part in (*metric, *(theirs or ())) if not math.isnan(part)]
    if math.isnan(metric.value) or not all(0 <= place <= 1 for place in places):
        return ""
    low, high = (metric.value if math.isnan(end) else end for end in (metric.low, metric.high))
    marks = f'<i class="range" style="left:{100 * low:.2f}%;width:{max(100 * (high - low), 0.5):.2f}%"></i>'
    said = "from 0 to 1"
    if theirs is not None and not math.isnan(theirs.value):
        marks += f'<i class="theirs" style="left:{100 * theirs.value:.2f}%"></i>'
        said += f", baseline at {number(theirs.value)}"
    marks += f'<i class="ours" style="left:{100 * metric.value:.2f}%"></i>'
    return f'<span class="track" role="img" aria-label="{number(metric.value)} on a line {said}">{marks}</span>'


def _findings(report: "Report") -> str:
    if not report.findings:
        return "<section><h2>Findings</h2><p>Nothing was found.</p></section>" if report.kind == "check" else ""
    rank = {"error": 0, "warning": 1, "note": 2}
    items = []
    for finding in sorted(report.findings, key=lambda finding: rank.get(finding.severity, 3)):
        severity, message = escape(str(finding.severity)), escape(str(finding.message))
        fix = f'<p class="fix">{escape(str(finding.fix))}</p>' if finding.fix else ""
        place = f" · {escape(str(finding.place))}" if finding.place else ""
        where = f'<p class="quiet"><code>{escape(str(finding.code))}</code>{place}</p>'
        items.append(
            f'<li><span class="severity {severity}">{severity}</span><div><p>{message}</p>{fix}{where}</div></li>'
        )
    return _section("Findings", f'<ul class="findings">{"".join(items)}</ul>')


def _figures(report: "Report") -> str:
    if not report.figures:
        return ""
    return _section("Figures", f'<div class="figures">{"".join(map(_figure, report.figures))}</div>')


def _figure(figure: "Figure") -> str:
    label = str(figure.get_label())
    drawn = figure.axes[0].get_title(loc="left") if figure.axes else ""
    caption = label.removeprefix(f"{drawn}. ")
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(label)}" src="{image(figure)}">{below}</figure>'


def image(figure: "Figure") -> str:
    """A figure as a data address, drawn with lines; where these take much, with points if that is smaller."""
    import matplotlib

    lines = io.BytesIO()
    # text as text, and the same bytes each time
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "apptemplates"}):
        figure.savefig(lines, format="svg", metadata={"Date": None})
    if len(lines.getvalue()) > MUCH:
        points = io.BytesIO()
        figure.savefig(points, format="png", dpi=150)
        if len(points.getvalue()) < len(lines.getvalue()):
            return f"data:image/png;base64,{base64.b64encode(points.getvalue()).decode()}"
    return f"data:image/svg+xml;base64,{base64.b64encode(lines.getvalue()).decode()}"


def _groups(report: "Report") -> str:
    return "\n".join(_section(f"By {column}", _group(groups)) for column, groups in report.groups.items())


def _group(groups: Groups) -> str:
    real = {name for name, gap in groups.gaps.items() if gap.low > 0}
    head = '<th scope="col">Group</th><th scope="col" class="n">Rows</th>'
    head += "".join(f'<th scope="col" class="n">{escape(name)}</th>' for name in groups.names)
    rows = []
    for row in groups.table.to_dict("records"):
        few = ' <small class="quiet">few rows</small>' if row["small"] else ""
        cells = f'<th scope="row">{escape(str(row["group"]))}{few}</th><td class="n">{number(row["rows"])}</td>'
        for name in groups.names:
            end = ""
            if name in real and row["group"] in groups.extremes[name]:
                end = "lowest" if row["group"] == groups.extremes[name][0] else "highest"
            cells += _measured_cell(Metric(row[name], row[f"{name} low"], row[f"{name} high"]), end)
        rows.append(f"<tr>{cells}</tr>")
    said = [
        f"<li><b>{escape(name)}</b>: {escape(groups.extremes[name][1])} lies {measured(groups.gaps[name])} above "
        f"{escape(groups.extremes[name][0])}</li>"
        for name in groups.gaps
        if name in real
    ]
    rest = [name for name in groups.gaps if name not in real]
    if rest:
        said.append(f"<li>No difference beyond chance in {escape(', '.join(rest))}</li>")
    gaps = f'<ul class="gaps">{"".join(said)}</ul>' if said else ""
    grid = _grid(head, rows, "dense")
    return gaps + (grid if len(rows) <= FEW_ROWS else _folded(f"All {len(rows)} groups", grid))


def _facts(report: "Report") -> str:
    cards = []
    for heading, values in sections(report).items():
        if values:
            pairs = "".join(f"<dt>{escape(str(name))}</dt><dd>{_value(value)}</dd>" for name, value in values.items())
            cards.append(f'<div class="card"><h3>{heading}</h3><dl>{pairs}</dl></div>')
    return _section("Facts", f'<div class="facts">{"".join(cards)}</div>') if cards else ""


def _value(value: Any) -> str:
    if isinstance(value, list | tuple | set | frozenset | np.ndarray) and not isinstance(value, Metric):
        items = list(value)
        if len(items) > MOST_ITEMS:
            shown = "".join(f"<li>{escape(plain(item))}</li>" for item in items[:MOST_ROWS])
            more = f"<li>and {len(items) - MOST_ROWS:,} more</li>" if len(items) > MOST_ROWS else ""
            return _folded(f"{len(items):,} entries", f"<ul>{shown}{more}</ul>")
    return escape(plain(value))


def _table(report: "Report") -> str:
    return "".join(_rows_of(table, heading) for heading, table in report.tables.items())


def _rows_of(table: pd.DataFrame | None, heading: str) -> str:
    """A section with the first rows of a table."""
    if table is None or not len(table):
        return ""
    shown = table.head(MOST_ROWS)
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in shown.dtypes]
    side = [' class="n"' if one else "" for one in numeric]
    head = "".join(
        f'<th scope="col"{one}>{escape(str(name))}</th>' for name, one in zip(shown.columns, side, strict=True)
    )
    rows = [
        "<tr>" + "".join(f"<td{one}>{escape(plain(cell))}</td>" for cell, one in zip(row, side, strict=True)) + "</tr>"
        for row in shown.astype(object).to_numpy().tolist()
    ]
    grid = _grid(head, rows)
    if len(table) <= FEW_ROWS:
        return _section(heading, grid)
    count = f"All {len(table):,} rows" if len(table) <= MOST_ROWS else f"The first {MOST_ROWS} of {len(table):,} rows"
    return _section(heading, _folded(count, grid))


def _footer(report: "Report") -> str:
    intervals = any(span(metric) for metric in report.metrics.values()) or report.groups
    said = (
        "Ranges are 95 % bootstrap intervals: where a number would lie had other records of the same kind been drawn. "
        if intervals
        else ""
    )
    return f"<footer>{said}Made with apptemplates.</footer>"


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{content}</section>"


def _grid(head: str, rows: list[str], kind: str = "plain") -> str:
    return (
        f'<div class="scroll {kind}"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def _measured_cell(metric: Metric, end: str = "", kind: str = "n") -> str:
    mark = f' <small class="end">{end}</small>' if end else ""
    return f'<td class="{kind}">{number(metric.value)}{mark}<br><small class="quiet">{span(metric)}</small></td>'
