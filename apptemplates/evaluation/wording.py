"""How numbers read in a report: as short as their meaning allows."""

import math
from typing import Any

import numpy as np

from apptemplates.evaluation.intervals import Metric


def number(value: Any) -> str:
    """A number as people write it: 12,345 or 12.3 or 0.712 or 0.0053 or 0.00042; NaN and None are a dash."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return "–"  # noqa: RUF001
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    value = float(value)
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.1:
        return f"{value:.3f}"
    if size >= 0.001:
        return f"{value:.4f}"
    if size >= 1e-6:
        return f"{value:.{1 - math.floor(math.log10(size))}f}"  # two digits that count
    return f"{value:.2g}"


def rounded_up(value: float) -> int:
    """A number to two digits, upwards, for what is only roughly known."""
    unit = 10 ** max(0, math.floor(math.log10(max(value, 1))) - 1)
    return int(math.ceil(value / unit) * unit)


def span(metric: Metric) -> str:
    """The interval of a metric in words, "" where it has none."""
    if math.isnan(metric.low) or math.isnan(metric.high):
        return ""
    return f"{number(metric.low)} to {number(metric.high)}"


def measured(metric: Metric) -> str:
    """A metric with its interval: 0.712 (0.690 to 0.735)."""
    return f"{number(metric.value)} ({span(metric)})" if span(metric) else number(metric.value)


def plain(value: Any) -> str:
    """Any value of a report's small tables as text: metrics with intervals, lists with commas."""
    if isinstance(value, Metric):
        return measured(value)
    if value is None or isinstance(value, bool | int | float | np.number | np.bool_):
        return number(value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {plain(part)}" for name, part in value.items())
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return ", ".join(plain(part) for part in value)
    return str(value)


def sentence(text: str) -> str:
    """The text with a capital to begin with."""
    return text[:1].upper() + text[1:]


def inside(text: str) -> str:
    """A sentence's text as a part of a longer one: without its capital and its full stop, names left as they are."""
    word = text.split(" ", 1)[0]
    return (text[:1].lower() + text[1:] if word[1:].islower() or len(word) == 1 else text).rstrip(".")
