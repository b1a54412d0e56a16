"""What a person decides about a fitted model: costs, capacities and allowed errors, apart from what it learned."""

import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

SHARES = ("alarm_rate", "min_sensitivity", "min_specificity", "max_error", "refer_rate", "prevalence")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How scores become decisions; `set_policy` changes it without learning anew.

    A template takes the arguments that its documentation names and refuses the others.

    Args:
        cost_of_miss: What one missed case costs: a number, or the name of a column that holds it in each row.
        cost_of_alarm: What one needless alarm costs, in the same unit.
        reviews_per_day: How many alarms people can look at in a day.
        alarm_rate: Share of the queries that may raise an alarm, in (0, 1).
        false_accepts: Allowed share of strangers accepted (faces), or false accepts an hour (voice).
        min_sensitivity: Least share of the true cases to be found, in (0, 1].
        min_specificity: Least share of the healthy cases to be cleared, in (0, 1].
        max_error: Allowed error rate among the answers that are not referred to a person, in (0, 1).
        refer_rate: Share of the queries to be referred to a person, in [0, 1).
        prevalence: Share of true cases where it is used, in (0, 1), if that is another than where it learned.

    Example:
        >>> Policy(cost_of_miss=100, cost_of_alarm=5).given()
        {'cost_of_miss': 100, 'cost_of_alarm': 5}
    """

    cost_of_miss: float | str | None = None
    cost_of_alarm: float | None = None
    reviews_per_day: float | None = None
    alarm_rate: float | None = None
    false_accepts: float | None = None
    min_sensitivity: float | None = None
    min_specificity: float | None = None
    max_error: float | None = None
    refer_rate: float | None = None
    prevalence: float | None = None

    def __new__(cls, **arguments: Any) -> Self:
        known = [field.name for field in dataclasses.fields(cls)]
        for name in arguments:
            if name not in known:
                raise TypeError(
                    f"Policy: there is no argument {name!r}{nearest(name, known)}; it takes {', '.join(known)}."
                )
        return super().__new__(cls)

    def given(self) -> dict[str, Any]:
        """The arguments that are set, by name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def check(self, owner: str, allowed: Iterable[str], columns: Iterable[str] = ()) -> None:
        """Refuses arguments the template does not take, and values out of range.

        Raises:
            ValueError: Names the owner, the argument, what was expected and what is near.
        """
        allowed, columns = tuple(allowed), tuple(columns)
        for name, value in self.given().items():
            if name not in allowed:
                raise ValueError(f"{owner}: policy {name!r} is not one it takes; it takes {', '.join(allowed)}.")
            if isinstance(value, str):
                if name != "cost_of_miss":
                    raise ValueError(f"{owner}: policy {name!r} must be a number. Received: {value!r}.")
                if value not in columns:
                    raise ValueError(
                        f"{owner}: policy cost_of_miss={value!r} names no number column; there are "
                        f"{', '.join(map(repr, columns)) or 'none'}{nearest(value, columns) or '.'}"
                    )
            elif not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
                raise ValueError(f"{owner}: policy {name!r} must be a number >= 0. Received: {value!r}.")
            elif name in SHARES and value > 1:
                raise ValueError(f"{owner}: policy {name!r} is a share between 0 and 1. Received: {value!r}.")
        if self.reviews_per_day is not None and self.alarm_rate is not None:
            raise ValueError(f"{owner}: a policy takes reviews_per_day or alarm_rate, not both.")
        if self.max_error is not None and self.refer_rate is not None:
            raise ValueError(f"{owner}: a policy takes max_error or refer_rate, not both.")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise ValueError(f"{owner}: policy prevalence must lie between 0 and 1. Received: {self.prevalence!r}.")
        wished = [name for name in ("min_sensitivity", "min_specificity") if getattr(self, name) is not None]
        if wished and (self.cost_of_miss is not None or self.cost_of_alarm is not None):
            raise ValueError(f"{owner}: a policy takes costs or {wished[0]}, not both, since each sets the threshold.")


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where one of the known words is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
