"""The Report that `check`, `evaluate` and `explain` give: read it in a notebook, save it, send it to the boss."""

import dataclasses
import datetime
import json
import math
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from apptemplates.evaluation.audit import Groups
from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.wording import measured, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("evaluation", "check", "explanation", "training")


@dataclass
class Report:
    """What was measured, with how sure it is and what it comes to.

    Attributes:
        title: what was measured, as a heading.
        kind: "evaluation", "check", "explanation" or "training"; sets what is shown first.
        metrics: name -> `Metric`; the first is the headline.
        baseline: `name` of the simple method, its `metrics` (name -> `Metric`) and, where both were scored on the
            same draws, `difference` (name -> `Metric`, ours minus its).
        groups: column -> `Groups`.
        calibration: name -> number, `Metric` or column of numbers.
        latency: say p50_ms, p99_ms, items_per_second.
        size: say parameters, megabytes of them, and process_megabytes: memory held while judging.
        data: counts and what was left out, name -> anything plain.
        verdict: sentences, the most important first.
        findings: objects with code, severity ("error", "warning", "note"), place, message and fix.
        table: rows to read one by one, or None.
        suspects: records whose labels may be wrong, the most suspect first, or None.
        importance: what matters most to the model, `column` and `importance` with its spread, or None.
        figures: matplotlib figures; their label is the caption.
        notes: anything else that is a name and a value.
        attributions: of an explanation, method -> for each answer the numbers of its parts; not kept in files.

    Example:
        >>> report = Report(title="August", metrics={"average precision": Metric(0.712, 0.69, 0.735)})
        >>> report
        Report: August (evaluation)
          average precision  0.712 (0.690 to 0.735)
    """

    title: str
    kind: str = "evaluation"
    metrics: dict[str, Metric] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, Groups] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    latency: dict[str, Any] = field(default_factory=dict)
    size: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    verdict: list[str] = field(default_factory=list)
    findings: list[Any] = field(default_factory=list)
    table: pd.DataFrame | None = None
    suspects: pd.DataFrame | None = None
    importance: pd.DataFrame | None = None
    figures: "list[Figure]" = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    attributions: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Report: kind must be one of {', '.join(KINDS)}. Received: {self.kind!r}.")

    @property
    def tables(self) -> dict[str, pd.DataFrame | None]:
        """Heading -> table, in the order they are read."""
        return {"Table": self.table, "Labels to look at": self.suspects, "Importance": self.importance}

    def to_dict(self) -> dict[str, Any]:
        """All of it as nested dicts and lists of plain values, ready for JSON; of figures only the captions."""
        content = {
            each.name: jsonable(getattr(self, each.name))
            for each in dataclasses.fields(self)
            if each.name not in ("findings", "figures", "attributions")
        }
        content["findings"] = [
            {name: str(getattr(finding, name)) for name in ("code", "severity", "place", "message", "fix")}
            for finding in self.findings
        ]
        content["figures"] = [str(figure.get_label()) for figure in self.figures]
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Report":
        """The report that `to_dict` wrote, without its figures.

        Args:
            content: as `to_dict` gives it, also after a way through JSON.

        Returns:
            An equal report, apart from the figures.
        """
        known = {each.name for each in dataclasses.fields(cls)}
        parts = {name: _revived(value) for name, value in content.items() if name in known}
        parts["groups"] = {name: Groups.from_dict(groups) for name, groups in content.get("groups", {}).items()}
        if content.get("findings"):
            from apptemplates.data.preflight import Finding

            parts["findings"] = [Finding(**finding) for finding in content["findings"]]
        for name in ("table", "suspects", "importance"):
            table = content.get(name)
            parts[name] = None if table is None else pd.DataFrame(table["rows"], columns=table["columns"])
        parts["figures"] = []
        return cls(**parts)

    def save(self, path: str | Path) -> Path:
        """Writes the report as one file, in the form its ending names; whole or not at all.

        Args:
            path: ends in .html (a self-contained page), .json (every number) or .md (to read as text).

        Returns:
            The path.

        Raises:
            ValueError: on another ending.
            FileNotFoundError: where the folder does not exist.
        """
        from apptemplates.evaluation.markdown import markdown
        from apptemplates.evaluation.page import page

        path = Path(path)
        forms: dict[str, Callable[[Report], str]] = {".html": page, ".json": _json, ".md": markdown}
        if path.suffix.lower() not in forms:
            raise ValueError(
                f"Report: can not save as '{path.name}'; the name must end in .html, .json or .md. Received: {path}."
            )
        if not path.parent.is_dir():
            raise FileNotFoundError(f"Report: the folder '{path.parent}' does not exist; make it first, then save.")
        _write(path, forms[path.suffix.lower()](self))
        return path

    def _repr_html_(self) -> str:
        from apptemplates.evaluation.page import fragment

        return fragment(self)

    def __repr__(self) -> str:
        lines = [f"Report: {self.title} ({self.kind})", *(f"  {sentence}" for sentence in self.verdict)]
        width = max((len(name) for name in self.metrics), default=0)
        lines += [f"  {name:<{width}}  {measured(metric)}" for name, metric in self.metrics.items()]
        lines += [f"  {finding.severity}: {finding.message}" for finding in self.findings]
        if not self.metrics:
            lines += [f"  {name}: {plain(value)}" for name, value in (self.data | self.notes).items()]
        if self.table is not None:
            lines.append(f"  table: {len(self.table):,} rows of {', '.join(map(str, self.table.columns))}")
        return "\n".join(lines)


def jsonable(value: Any) -> Any:
    """The same value out of what JSON knows: NaN and missing are null, times are ISO text, infinities are text."""
    if isinstance(value, Metric):
        return {name: jsonable(part) for name, part in value._asdict().items()}
    if isinstance(value, Groups):
        return jsonable(value.to_dict())
    if isinstance(value, pd.DataFrame):
        return {"columns": [str(name) for name in value.columns], "rows": jsonable(value.astype(object).to_numpy())}
    if isinstance(value, dict):
        return {str(name): jsonable(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | pd.Series | list | tuple | set | frozenset):
        return [jsonable(part) for part in value]
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return None
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, np.datetime64 | np.timedelta64):
        return None if np.isnat(value) else str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _revived(value: Any) -> Any:
    """A value from JSON with its metrics made `Metric` again."""
    if isinstance(value, dict):
        if set(value) == set(Metric._fields):
            return Metric(*(float("nan") if value[name] is None else float(value[name]) for name in Metric._fields))
        return {name: _revived(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_revived(part) for part in value]
    return value


def _json(report: Report) -> str:
    return json.dumps(report.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _write(path: Path, text: str) -> None:
    """Writes beside the target and renames, so that a failing write leaves what was there."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
