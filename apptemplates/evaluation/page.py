"""A report as one self-contained web page."""

from html import escape
from typing import TYPE_CHECKING

from apptemplates.evaluation.markdown import markdown

if TYPE_CHECKING:
    from apptemplates.evaluation.report import Report


def page(report: "Report") -> str:
    """The whole page."""
    return f"<!doctype html><meta charset='utf-8'><title>{escape(report.title)}</title>{fragment(report)}"


def fragment(report: "Report") -> str:
    """The report without a page around it, for a notebook."""
    return f"<pre>{escape(markdown(report))}</pre>"
