"""The README.md of a saved folder: what the model answers, how well, and what it is not for."""

from typing import Any

LICENCE = "their licence was not said (`save(folder, licence=...)`)"


def model_card(app: Any, versions: dict[str, str]) -> str:
    """The model card as Markdown.

    Args:
        app: a fitted template.
        versions: package -> version it was saved with.
    """
    name = type(app).__name__
    card = app.card
    lines = [
        f"# {card.title}",
        "",
        card.answers,
        "",
        f"**Not for:** {card.not_for}",
        "",
        "## Use it",
        "",
        "```python",
        "import apptemplates as at",
        "",
        'app = at.load("this folder")',
        'app.predict("queries.csv")',
        "```",
        "",
        "Load only folders you trust.",
        "",
        *_numbers(app.report_),
        *_by_group(app.report_),
        *_limits(app.report_),
        "## How it was made",
        "",
        f"- Application: `{name}` of apptemplates {versions['apptemplates']}",
        *(f"- {key}: `{value!r}`" for key, value in app.get_params().items()),
        f"- Data it was meant for: {card.data}",
        f"- Data it learned from: {_learned_from(app.learned_)}",
        *_again(name, app.learned_),
        f"- Reference: {card.reference}",
        f"- Saved with {', '.join(f'{package} {version}' for package, version in versions.items())}",
        "",
    ]
    return "\n".join(lines)


def _learned_from(learned: dict[str, Any]) -> str:
    rows = learned.get("data", {}).get("rows")
    return f"{'' if rows is None else f'{rows:,} records; '}{learned.get('licence') or LICENCE}"


def _again(name: str, learned: dict[str, Any]) -> list[str]:
    """How to make it again, and what it took."""
    done = learned.get("training")
    if not done:
        return []
    took = f"; that took {done['minutes']:.1f} minutes" if "minutes" in done else ""
    more = " and then `finetune`" if "finetuned" in learned else ""
    return [f"- Made again by: `{name}` with these choices, and `fit`{more} on those records{took} ({done['stopped']})"]


def _numbers(report: Any) -> list[str]:
    if report is None or not report.metrics:
        return []
    rows = [f"| {name} | {m.value:.4g} | {m.low:.4g} to {m.high:.4g} |" for name, m in report.metrics.items()]
    return [
        "## How well it does",
        "",
        "| measure | value | 95 % interval |",
        "|---|---|---|",
        *rows,
        "",
        *[f"- {sentence}" for sentence in report.verdict],
        "",
    ]


def _by_group(report: Any) -> list[str]:
    """The headline of each group that was compared; of small groups that they are small."""
    groups = getattr(report, "groups", {}) or {}
    headline = next(iter(report.metrics), "") if groups else ""
    lines: list[str] = []
    for column, each in groups.items():
        if headline not in each.table:
            continue
        lines += [f"## By {column}", "", f"| {column} | rows | {headline} | 95 % interval |", "|---|---|---|---|"]
        for row in each.table.to_dict("records"):
            value = f"{row[headline]:.4g} | {row[f'{headline} low']:.4g} to {row[f'{headline} high']:.4g}"
            lines.append(f"| {row['group']} | {row['rows']:,}{' (few)' * bool(row['small'])} | {value} |")
        lines.append("")
    return lines


def _limits(report: Any) -> list[str]:
    """What was found odd while it was measured, and what holds for every model."""
    found = [f"- {finding.message}" for finding in getattr(report, "findings", []) if finding.severity != "note"]
    worst = [
        f"- Worst: {text}." for name, text in getattr(report, "notes", {}).items() if name.startswith("worst slice")
    ]
    always = "- The numbers hold for records like those it was measured on; look at `evaluate` of your own before use."
    return ["## Limits", "", *found, *worst, always, ""]
