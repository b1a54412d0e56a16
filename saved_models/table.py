"""Writes saved_models/README.md, the table of what each saved model can do, and that of the README, from the reports.

    python saved_models/table.py

Numbers are those of `report.json` and `template.json`, so that the table can not drift from them.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# the best published number on the same test, and where it stands; by hand, as reports do not know the literature
PUBLISHED = {
    "face_verifier": "none (made-up faces)",
    "fraud_detector": ".658, random forest (Le Borgne et al., 2022; their features)",
    "medical_scan_classifier": ".991, Google AutoML Vision (Yang et al., 2023)",
    "recommender": "none (a made-up shop)",
    "risk_scorer": ".927, CatBoost (Gorishniy et al., 2025)",
    "text_generator": "1.470, 10.7 M parameters on a GPU (nanoGPT)",
    "voice_command_recognizer": "none (others learned from 85,000 clips)",
}

FIRST, AFTER = "## The catalogue\n\n", "\n\n"  # what the table of the README stands between


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def measured(metric: dict[str, Any]) -> str:
    """A value with its interval."""
    return f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"


def row(folder: Path) -> str:
    """One line of the table."""
    report, about = (json.loads((folder / name).read_text("utf-8")) for name in ("report.json", "template.json"))
    headline, metric = next(iter(report["metrics"].items()))
    simple = report["baseline"]["metrics"].get(headline)
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    cells = [
        f"[`{folder.name}`]({folder.name}/)",
        f"{headline} {measured(metric)}",
        f"{report['baseline']['name']}: {number(simple['value'])}" if simple else "none",
        PUBLISHED[folder.name],
        f"{report['size']['parameters']:,}",
        f"{size:.1f} MB",
        f"{about['learned']['training']['minutes']:.1f}",
        f"{report['latency']['p50_ms']:.2f} ms",
    ]
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """The whole README.md."""
    folders = sorted(folder.parent for folder in HERE.glob("*/manifest.json"))
    head = (
        "saved model",
        "measured (95 % interval)",
        "simple method",
        "best published",
        "parameters",
        "size",
        "minutes",
        "p50",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *map(row, folders)]
    return f"""# Saved models

`at.load("fraud_detector")` opens one by its name. Each was made by the recipe of its name in `recipes/`, holds no
record of anybody, and says in its own README.md what it learned from and under which licence.

{chr(10).join(lines)}

`minutes` is the wall clock of the fit on at most 2 cores, other jobs beside it for most; `p50` that of one answer. The
published numbers are of the same test, where there is one; how each model was measured stands in its report.
Written by `python saved_models/table.py`.
"""


def catalogue() -> str:
    """The table of the project's README: what each application answers, and what its saved model came to."""
    from apptemplates import _catalogue

    lines = ["| application | what it answers | measured (95 % interval) | simple method |", "|---|---|---|---|"]
    for entry in _catalogue.ENTRIES:
        cells = row(HERE / entry.file).split(" | ")
        lines.append(f"| `{entry.name}` | {entry.answers} | {cells[1]} | {cells[2]} |")
    return "\n".join(lines)


def with_catalogue(text: str) -> str:
    """The text of the project's README with this table in its place."""
    before, rest = text.split(FIRST, 1)
    return before + FIRST + catalogue() + rest[rest.index(AFTER) :]


if __name__ == "__main__":
    (HERE / "README.md").write_text(table(), encoding="utf-8")
    readme = HERE.parent / "README.md"
    readme.write_text(with_catalogue(readme.read_text("utf-8")), encoding="utf-8")
