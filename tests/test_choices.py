"""Fields of a template as flags."""

import argparse
from dataclasses import dataclass, field

import pytest

from apptemplates import choices
from apptemplates.policy import Policy


@dataclass(kw_only=True)
class Lamp:
    """Lights.

    Args:
        colour: What it shows, 100 %,
            over two lines.
        parts, size: What it is made of.
        policy: When it lights.

    Example:
        >>> Lamp()
    """

    colour: str | None = "red"
    place: str = "hall"
    parts: tuple[str, ...] = ("bulb", "foot")
    kinds: dict[str, str] = field(default_factory=dict)
    size: int = 3
    power: float | None = None
    dim: bool = True
    policy: Policy | None = None


def parsed(*words):
    parser = argparse.ArgumentParser()
    choices.add_flags(parser, Lamp)
    return choices.chosen(parser.parse_args(words), Lamp)


def test_absent_flags_leave_the_defaults():
    assert parsed() == {}


def test_each_kind_of_field():
    names = ["--colour", "none", "--place", "none", "--parts", "a,b,", "--kinds", "zip=category,x=number"]
    numbers = ["--size", "4", "--power", "2.5", "--no-dim", "--policy", "cost_of_miss=amount,cost_of_alarm=5"]
    assert parsed(*names, *numbers) == {
        "colour": None,
        "place": "none",
        "parts": ("a", "b"),
        "kinds": {"zip": "category", "x": "number"},
        "size": 4,
        "power": 2.5,
        "dim": False,
        "policy": Policy(cost_of_miss="amount", cost_of_alarm=5.0),
    }
    assert parsed("--parts", "") == {"parts": ()}


@pytest.mark.parametrize(
    ("words", "say"),
    [
        (["--size", "big"], "'big' is not a whole number"),
        (["--power", "x"], "'x' is not a number"),
        (["--kinds", "zip"], "'zip' must be pairs like a=b,c=d"),
        (["--policy", "cost=3"], "there is no 'cost' in a policy; it takes cost_of_miss"),
        (["--color", "red"], "unrecognized arguments: --color"),
    ],
)
def test_wrong_values_say_what_was_expected(words, say, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed(*words)
    assert stopped.value.code == 2
    assert say in capsys.readouterr().err


def test_help_has_the_docstring(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "What it shows, 100 %, over two lines. (default: red)" in said
    assert "What it is made of. (default: bulb,foot)" in said
