"""The fields of a template as flags of the command line."""

import argparse
import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable
from typing import Any

from apptemplates.policy import Policy


def add_flags(parser: argparse.ArgumentParser, template: type) -> None:
    """Adds one flag for each field of a template, with the sentence its docstring has for it.

    Args:
        parser: of a command that makes a new template.
        template: a dataclass.
    """
    group = parser.add_argument_group(
        f"choices of {template.__name__}",
        "Several names are separated by commas; `none` says that there is no such column.",
    )
    hints, said = typing.get_type_hints(template), described(template)
    for field in dataclasses.fields(template):  # type: ignore[arg-type]
        if not field.init:
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        shown = said.get(field.name, "").replace("%", "%%")
        if default not in (None, (), {}, dataclasses.MISSING):
            shown += f" (default: {','.join(map(str, default)) if isinstance(default, tuple) else default})"
        if hints[field.name] is bool:
            group.add_argument(
                flag(field.name), action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=shown
            )
        else:
            reader, form = reading(hints[field.name])
            # Absent flags stay out, so that the template's own defaults hold.
            group.add_argument(
                flag(field.name), dest=field.name, type=reader, metavar=form, default=argparse.SUPPRESS, help=shown
            )


def chosen(arguments: argparse.Namespace, template: type) -> dict[str, Any]:
    """The constructor arguments that flags named."""
    names = {field.name for field in dataclasses.fields(template)}  # type: ignore[arg-type]
    return {name: value for name, value in vars(arguments).items() if name in names}


def flag(name: str) -> str:
    """`label_delay` as `--label-delay`."""
    return "--" + name.replace("_", "-")


def reading(hint: Any) -> tuple[Callable[[str], Any], str]:
    """How a flag's text becomes a field's value, and what to call it in the help.

    Args:
        hint: type of the field.
    """
    optional = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    kinds = [kind for kind in (typing.get_args(hint) if optional else (hint,)) if kind is not type(None)]
    kind = kinds[0]
    origin = typing.get_origin(kind) or kind
    if origin in (int, float):
        read, form = _number(origin), "NUMBER"
    elif origin in (tuple, list):
        read, form = _names, "A,B,..."
    elif origin is dict:
        read, form = _pairs, "A=WHAT,..."
    elif origin is Policy:
        read, form = _policy, "WHAT=NUMBER,..."
    else:
        read, form = str, "NAME" if optional else "TEXT"
    if not optional:
        return read, form

    def read_optional(text: str) -> Any:
        return None if text.lower() == "none" else read(text)

    return read_optional, form


def described(template: type) -> dict[str, str]:
    """What the docstrings of a template and its base say about each field under `Args:`."""
    said: dict[str, str] = {}
    for cls in reversed(template.__mro__):
        text = inspect.cleandoc(cls.__doc__ or "")
        section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        if section:
            entries = re.findall(r"^    (\w[\w, ]*?): (.*?)(?=^    \w|\Z)", section[1], re.MULTILINE | re.DOTALL)
            said |= {name: " ".join(meaning.split()) for names, meaning in entries for name in names.split(", ")}
    return said


def _number(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from None

    return read


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _pairs(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in _names(text)]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise argparse.ArgumentTypeError(f"{text!r} must be pairs like a=b,c=d")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _policy(text: str) -> Policy:
    arguments: dict[str, Any] = {}
    for name, value in _pairs(text).items():
        try:
            arguments[name] = float(value)
        except ValueError:
            arguments[name] = value  # the name of a column
    known = [field.name for field in dataclasses.fields(Policy)]
    for name in arguments:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no {name!r} in a policy; it takes {', '.join(known)}")
    return Policy(**arguments)
