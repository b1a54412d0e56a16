"""The part of this package that some of its functions and classes rest on, as source that stands by itself."""

import ast
import builtins
import dis
import functools
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import CodeType

PACKAGE = "apptemplates"
FOLDER = "parts"  # what it is called in a folder of one's own
WIDE = 120  # characters of a line
Name = tuple[str, str]  # of a module, and of what it defines


class Module:
    """The statements of a module of this package by the names they define.

    Args:
        name: With dots.
        without: Methods that are left out of its classes.
    """

    def __init__(self, name: str, without: tuple[str, ...] = ()) -> None:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        self.name, text = name, Path(spec.origin).read_text(encoding="utf-8")
        self.tree, self.lines, self.without = ast.parse(text), text.splitlines(), without
        self.defined: dict[str, ast.stmt] = {}
        self.imported: dict[str, tuple[ast.stmt, str, str | None]] = {}  # name -> statement, module, name in it
        for statement in self.tree.body:
            for one in statement.body if isinstance(statement, ast.If) else [statement]:  # if TYPE_CHECKING
                self._note(one)

    def _note(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.ImportFrom):
            for name in statement.names:
                self.imported[name.asname or name.name] = statement, statement.module or "", name.name
        elif isinstance(statement, ast.Import):
            for name in statement.names:
                known = name.asname or name.name.partition(".")[0]
                self.imported[known] = statement, name.name, None
        elif isinstance(statement, ast.ClassDef | ast.FunctionDef):
            self.defined[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                for part in ast.walk(target):
                    if isinstance(part, ast.Name):
                        self.defined[part.id] = statement

    def kept(self, statement: ast.stmt) -> ast.stmt:
        """A statement without what is left out."""
        if isinstance(statement, ast.ClassDef) and self.without:
            body = [one for one in statement.body if getattr(one, "name", None) not in self.without]
            if len(body) < len(statement.body):
                statement = ast.copy_location(ast.ClassDef(**{**vars(statement), "body": body}), statement)
        return statement

    def source(self, statement: ast.stmt) -> str:
        """A statement as it is written, with the comment above it."""
        decorated = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(one.lineno for one in decorated)]) - 1
        while first and self.lines[first - 1].startswith("#"):
            first -= 1
        skipped = {
            line
            for one in getattr(statement, "body", [])
            if getattr(one, "name", None) in self.without
            for line in range(min([one.lineno, *(d.lineno for d in one.decorator_list)]) - 2, one.end_lineno)
        }
        return "\n".join(self.lines[line] for line in range(first, statement.end_lineno or 0) if line not in skipped)


@functools.cache
def module_of(name: str, without: tuple[str, ...] = ()) -> Module:
    """The module of this name, read once."""
    return Module(name, without)


def used(module: Module, statement: ast.stmt) -> set[Name]:
    """What a statement of a module rests on: (module, name), the name "" for a module as a whole."""
    statement = module.kept(statement)
    names = set(loaded(compile(ast.Module([statement], []), module.name, "exec"))) | annotated(statement)
    found: set[Name] = set()
    for name in names:
        if name in module.defined:
            found.add((module.name, name))
        elif name in module.imported:
            _, source, attribute = module.imported[name]
            whole = source if attribute is None else f"{source}.{attribute}"
            if attribute is None or is_module(whole):
                found |= {(whole, one) for one in attributes(statement, name)} or {(whole, "")}
            else:
                found.add((source, attribute))
        elif not hasattr(builtins, name) and name not in ("__file__", "__name__", "__module__", "__qualname__"):
            assert name in local_imports(statement), f"{module.name}: {name} is not known"
    for one in ast.walk(statement):
        if isinstance(one, ast.ImportFrom) and (one.module or "").startswith(PACKAGE):
            for alias in one.names:
                whole = f"{one.module}.{alias.name}"
                if is_module(whole):
                    found |= {(whole, name) for name in attributes(statement, alias.asname or alias.name)}
                else:
                    found.add((str(one.module), alias.name))
    return found


def loaded(code: CodeType) -> Iterator[str]:
    """The names that code takes from around it."""
    own = set(code.co_varnames) | set(code.co_cellvars)
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS") and step.argval not in own:
            yield str(step.argval)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from loaded(part)


def annotated(statement: ast.stmt) -> set[str]:
    """The names in annotations, which need not be evaluated."""
    places = [
        getattr(one, kind)
        for one in ast.walk(statement)
        for kind in ("annotation", "returns")
        if isinstance(getattr(one, kind, None), ast.expr)
    ]
    return {one.id for place in places for one in ast.walk(place) if isinstance(one, ast.Name)}


def local_imports(statement: ast.stmt) -> set[str]:
    """What is imported inside a statement, and the names that its classes define for themselves."""
    found = set()
    for one in ast.walk(statement):
        if isinstance(one, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in one.names}
        elif isinstance(one, ast.ClassDef):
            inside = [target for part in one.body for target in ast.walk(part)]
            found |= {part.id for part in inside if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
            found |= {part.name for part in one.body if isinstance(part, ast.FunctionDef)}
    return found


def attributes(statement: ast.stmt, name: str) -> set[str]:
    """What is taken from a module that is called so."""
    return {
        one.attr
        for one in ast.walk(statement)
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == name
    }


@functools.cache
def is_module(name: str) -> bool:
    """Whether this names a module of this package."""
    if not name.startswith(PACKAGE):
        return False
    parent = importlib.util.find_spec(name.rpartition(".")[0])
    return parent is not None and bool(parent.submodule_search_locations) and importlib.util.find_spec(name) is not None


def needed(roots: Iterable[Name], without: tuple[str, ...] = ()) -> dict[str, set[str]]:
    """Everything of this package that some names of it rest on: module -> names."""
    found: dict[str, set[str]] = {}
    open_ones = list(roots)
    while open_ones:
        place, name = open_ones.pop()
        if not place.startswith(PACKAGE) or name in found.setdefault(place, set()) or not name:
            continue
        module = module_of(place, without)
        if name in module.imported:  # handed on
            _, source, attribute = module.imported[name]
            open_ones.append((source, attribute or ""))
            found[place].add(name)
        elif name in module.defined:
            found[place].add(name)
            open_ones += used(module, module.defined[name])
    return found


def statements(module: Module, names: set[str]) -> list[ast.stmt]:
    """The statements that define these names, in the order in which they stand."""
    wanted = {id(module.defined[name]) for name in names if name in module.defined}
    return [one for one in module.tree.body if id(one) in wanted]


def import_lines(module: Module, names: set[str], root: str | None) -> list[str]:
    """The lines that import what statements of a module take from elsewhere.

    Args:
        module: Of the statements.
        names: That they define.
        root: What this package is called there; None leaves out what comes from it.
    """
    taken = {name for name in names if name in module.imported}
    for statement in statements(module, names):
        kept = module.kept(statement)
        taken |= set(loaded(compile(ast.Module([kept], []), module.name, "exec"))) | annotated(kept)
    lines: dict[tuple[str, ...], set[str]] = {}
    for name in sorted(taken & set(module.imported) - set(module.defined)):
        _, source, attribute = module.imported[name]
        own = source.startswith(PACKAGE)
        if own and root is None:
            continue
        source = f"{root}{source.removeprefix(PACKAGE)}" if own else source
        if attribute is None:
            lines[(source, name)] = set()
        else:
            lines.setdefault((source,), set()).add(attribute if attribute == name else f"{attribute} as {name}")
    found = []
    for place, parts in lines.items():
        if parts:
            found.append(f"from {place[0]} import {', '.join(sorted(parts))}")
        else:
            whole, name = place
            found.append(f"import {whole}" if whole.partition(".")[0] == name else f"import {whole} as {name}")
    return found


def docstring(module: Module) -> str:
    """What a module says it is."""
    return ast.get_docstring(module.tree) or module.name


def as_package(roots: Iterable[Name]) -> dict[str, str]:
    """What some names rest on as modules of a package of another name: path -> source."""
    root = FOLDER
    files: dict[str, str] = {}
    for place, names in needed(roots).items():
        module = module_of(place)
        if not place.startswith(f"{PACKAGE}.") or not names:
            continue
        lines = sorted(import_lines(module, names, root))
        later = {name for name, (one, _, _) in module.imported.items() if one not in module.tree.body}
        checked = [line for line in lines if later & set(line.partition(" import ")[2].split(", "))]
        lines = [line for line in lines if line not in checked]
        head = grouped([*lines, *(["from typing import TYPE_CHECKING"] if checked else [])])
        if checked:
            head += "\n\nif TYPE_CHECKING:\n" + "".join(f"    {line}\n" for line in checked).rstrip("\n")
        if any(line.startswith("from __future__") for line in module.lines):
            head = f"from __future__ import annotations\n\n{head}"
        path = place.removeprefix(f"{PACKAGE}.").replace(".", "/") + ".py"
        body = laid_out([module.source(one) for one in statements(module, names)])
        text = f'"""{docstring(module)}"""\n\n{head}\n{below(body)}{body}'
        files[f"{root}/{path}"] = re.sub(rf"\b(from|import) {PACKAGE}\b", rf"\1 {root}", text)
        for folder in {root, *(f"{root}/{up}" for up in map(str, Path(path).parents) if up != ".")}:
            files.setdefault(f"{folder}/__init__.py", '"""Parts of this model."""\n')
    return files


def laid_out(parts: Iterable[str]) -> str:
    """Statements of a file below each other, with room around functions and classes."""
    text, before = "", False
    for part in parts:
        large = part.lstrip("#").lstrip().startswith(("def ", "class ", "@")) or "\ndef " in part or "\nclass " in part
        text += ("\n\n" if text and (large or before) else "") + part + "\n"
        before = large
    return text


def below(body: str) -> str:
    """The empty lines between imports and what follows."""
    return "\n\n" if body.startswith(("def ", "class ", "@")) else "\n"


def grouped(lines: Iterable[str]) -> str:
    """Import lines in the usual order, each module once."""
    parts: list[set[str]] = [set(), set(), set()]  # Python's own, others, those of the folder
    several: dict[str, set[str]] = {}

    def group(place: str) -> int:
        first = place.partition(".")[0]
        return 0 if first in sys.stdlib_module_names else 2 if first == FOLDER else 1

    for line in lines:
        if line.startswith("from "):
            place, names = line.removeprefix("from ").split(" import ")
            several.setdefault(place, set()).update(names.split(", "))
        else:
            parts[group(line.split()[1])].add(line)
    for place, found in several.items():
        listed = sorted(found, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))
        line = f"from {place} import {', '.join(listed)}"
        if len(line) > WIDE:
            line = f"from {place} import (\n" + "".join(f"    {name},\n" for name in listed) + ")"
        parts[group(place)].add(line)

    def order(line: str) -> tuple[bool, str]:
        return line.startswith("from "), line

    return "\n\n".join("\n".join(sorted(part, key=order)) for part in parts if part)


def as_one(roots: Iterable[Name], without: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """What some names rest on as import lines and statements of one file, the ones before those that rest on them."""
    found = needed(roots, without)
    lines: set[str] = set()
    order: list[Name] = []

    def add(name: Name) -> None:
        if name in order or name in waiting:
            return
        waiting.add(name)
        module = module_of(name[0], without)
        if name[1] in module.defined:
            for other in sorted(used(module, module.defined[name[1]])):
                if other[0].startswith(PACKAGE) and other[1] in found.get(other[0], ()):
                    add(other)
            order.append(name)

    waiting: set[Name] = set()
    for place, names in sorted(found.items()):
        lines |= set(import_lines(module_of(place, without), names, None))
        for name in sorted(names):
            add((place, name))
    bodies: dict[str, str] = {}  # of what defines several names, once
    for place, name in order:
        module = module_of(place, without)
        bodies[f"{place} {module.defined[name].lineno}"] = module.source(module.defined[name])
    owners: dict[str, str] = {}
    for place, name in order:
        assert owners.setdefault(name, place) == place, f"{name} is defined by {owners[name]} and {place}"
    return sorted(lines), list(bodies.values())
