"""A template as a notebook shows it: what it is for, its choices, and how good it is once it has learned."""

import dataclasses
from html import escape
from typing import Any

from apptemplates.evaluation.wording import measured

CELL = 'style="text-align:left;padding:2px 12px 2px 0;vertical-align:top"'


def fragment(app: Any) -> str:
    """The HTML of a template, to stand inside a page."""
    rows = {"answers": app.card.answers, "not for": app.card.not_for, "choices": choices(app), "learned": learned(app)}
    cells = "".join(
        f'<tr><th scope="row" {CELL}>{escape(name)}</th><td {CELL}>{escape(text)}</td></tr>'
        for name, text in rows.items()
    )
    return f"<div><strong>{escape(app.name)}</strong><table>{cells}</table></div>"


def choices(app: Any) -> str:
    """The choices that are not the usual ones, in a line."""
    usual = {field.name: field.default for field in dataclasses.fields(app)}
    given = {name: value for name, value in app.get_params().items() if name in usual}
    changed = {
        name: value
        for name, value in given.items()
        if getattr(app, name) != usual[name] and value not in ({}, [], None)
    }
    return ", ".join(f"{name}={value!r}" for name, value in changed.items()) or "the usual ones"


def learned(app: Any) -> str:
    """From how much it learned and how good it was on what was held out."""
    if not app.is_fitted:
        return "nothing yet: call fit"
    records = app.learned_["data"]["rows"]
    name, metric = next(iter(app.report_.metrics.items()))
    simple = app.report_.baseline["metrics"][name]
    return f"{records:,} records; {name} {measured(metric)}, {app.baseline_name} {measured(simple)}"
