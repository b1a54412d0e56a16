"""A fitted template as source of one's own: the graph as Keras code, what prepares and words, scripts, a test."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates import _catalogue
from apptemplates.data.schema import Schema
from apptemplates.deploy import slices
from apptemplates.deploy.arrays import write_arrays
from apptemplates.deploy.folder import ArchiveError, new_folder, write_json
from apptemplates.deploy.graph_source import Source
from apptemplates.deploy.scripts.model_end import places

SCRIPTS = Path(__file__).parent / "scripts"
ROLES = ("label", "finding", "command", "person", "user", "item", "time", "image", "sound", "text")
SHARED = ("data.schema", "Schema"), ("data.schema", "DataError"), ("deploy.arrays", "read_arrays")
TABLES = ("data.table", "Table"), ("data.table", "rows"), ("data.table", "take"), ("data.words", "to_flags")
ABOVE = "  # type: ignore[name-defined]  # noqa: F821"  # of what stands above in model.py
UNUSED = ("profile", "diagnosis", "left out")  # of what was learned: for reports alone, and some quote records
LEARNING = ("adapt",)  # methods of layers that take scales from data
README = """# {title}

{answers}

Not for: {not_for}

This is the source of one model, taken from a fitted `{name}`. It needs keras, tensorflow, numpy and pandas{more},
and is yours to change.

| file | |
|---|---|
| `model.py` | the graph as Keras code: `build()`, `load()`, `save()` |
| `weights.npz` | what it has learned |
| `data.py` | from queries to inputs, from outputs to answers; with `parts/` and `settings.json` |
| `predict.py` | `python predict.py QUERIES > answers.csv` |
| `train.py`, `task.py` | `python train.py RECORDS --epochs 5` goes on learning, `--fresh` begins anew |
| `test_model.py` | `python test_model.py`: the model answers as the template did, to 1e-5 |

Queries have these columns:

| column | kind | meaning |
|---|---|---|
{columns}
{licence}"""


def eject(app: Any, folder: str | os.PathLike[str], share: bool) -> Path:
    """Writes a fitted template as source; see `Template.eject`."""
    name = type(app).__name__
    entry = _catalogue.find(name)
    if entry is None or app.lesson is None:
        raise ArchiveError(f"{name}: eject knows the templates of the catalogue; this one is a class of your own.")
    with new_folder(f"{name}.eject", folder) as made:
        (made / "model.py").write_text(model_source(app), encoding="utf-8")
        _write_parts(app, made, entry.file)
        _write_values(app, made, share)
        _check(name, made)
    return Path(folder).absolute()


def model_source(app: Any) -> str:
    """The source of model.py; long lists of it stand in `constants.json`, see `constants`."""
    source = _source(app)
    roots = [(kind.__module__, kind.__name__) for kind in source.classes] + list(app.lesson_parts)
    lines, classes = slices.as_one(roots, LEARNING)
    classes = [f'PACKAGE = "{slices.FOLDER}"' if part.startswith("PACKAGE =") else part for part in classes]
    end = (SCRIPTS / "model_end.py").read_text(encoding="utf-8")
    tree = ast.parse(end)
    imports = [one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom)]
    lines += [ast.unparse(one) for one in imports] + (["import json"] if source.constants else [])
    rest = "\n".join(end.splitlines()[imports[-1].end_lineno :]).strip().replace(ABOVE, "")
    here, _, rest = rest.partition("\n")
    known = ['CONSTANTS = json.loads((HERE / "constants.json").read_text(encoding="utf-8"))'] * bool(source.constants)
    body = slices.laid_out([here, *known, *classes, *source.functions])
    return f'"""{app.card.title}: the model."""\n\n{slices.grouped(lines)}\n\n{body}\n\n{rest.strip()}\n'


def _source(app: Any) -> Source:
    """The functions that build the graph of a template."""
    source = Source(f"{type(app).__name__}.eject")
    source.function(
        "build", "The whole model, from prepared query to raw answer, with new weights.", {"model": app.model_}
    )
    return source


def _write_parts(app: Any, made: Path, file: str) -> None:
    """The part of this package that prepares queries and words answers, and the scripts."""
    write_slices((*SHARED, *TABLES), ("data", "predict", "train", "test_model"), file, made)
    task = (SCRIPTS / f"task_{app.lesson}.py").read_text(encoding="utf-8")
    (made / "task.py").write_text(task, encoding="utf-8")
    card = app.card
    words = {
        "title": card.title,
        "answers": card.answers,
        "not_for": card.not_for,
        "name": type(app).__name__,
        "more": ", for pictures also pillow" if app._media and app.record[app._media].kind == "image" else "",
        "columns": "\n".join(f"| `{name}` | {one.kind} | {one.meaning} |" for name, one in app.query.items()),
        "licence": f"\nData that it has learned from: {app.learned_['licence']}\n" if "licence" in app.learned_ else "",
    }
    (made / "README.md").write_text(README.format(**words), encoding="utf-8")


def write_slices(names: Iterable[slices.Name], scripts: Iterable[str], file: str, made: Path) -> None:
    """The part of this package that scripts rest on, and how a template prepares and words.

    Args:
        names: Modules, without the package, and what is taken from them.
        scripts: That are written beside it.
        file: Of the template.
        made: The folder.
    """
    inner = [(f"{slices.PACKAGE}.{place}", name) for place, name in names]
    inner.append((f"{slices.PACKAGE}.inference.{file}", "Answering"))
    for path, text in slices.as_package(inner).items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(text, encoding="utf-8")
    for script in scripts:
        text = (SCRIPTS / f"{script}.py").read_text(encoding="utf-8")
        text = text.replace("import answering as own", f"import {file} as own")
        (made / f"{script}.py").write_text(text, encoding="utf-8")


def settings(app: Any) -> dict[str, Any]:
    """What a template chose and learned, as far as its answers rest on it."""
    return {
        "class": type(app).__name__,
        "parameters": app.get_params(),
        "columns": app.columns_.to_json(),
        "query": app.query.to_json(),
        "answer": app.answer.to_json(),
        "learned": {name: value for name, value in app.learned_.items() if name not in UNUSED},
    }


def _write_values(app: Any, made: Path, share: bool) -> None:
    """Weights, lists, what is remembered, the choices, and a few queries with their answers."""
    weights = {place: np.asarray(variable) for place, variable in places(app.model_)}
    np.savez_compressed(made / "weights.npz", **weights)  # type: ignore[arg-type]
    source = _source(app)
    if source.constants:
        write_json(made / "constants.json", source.constants)
    write_arrays(made / "state.npz", app.close_state(app.state_, share))
    answers = app.call_(app.golden_)
    golden = {f"query/{name}": column for name, column in app.golden_.items()}
    write_arrays(made / "golden.npz", golden | {f"answer/{name}": column for name, column in answers.items()})
    write_json(made / "settings.json", settings(app) | {"record": learned_columns(app).to_json()})


def learned_columns(app: Any) -> Schema:
    """The columns of records that the network learns from: what is asked, and its truth."""
    named = {getattr(app, role, None) for role in ROLES}
    asked = {name for name, field in app.query.items() if field.required}
    return Schema.of({name: field for name, field in app.record.items() if name in named | asked})


def _check(name: str, made: Path) -> None:
    """Runs the test of the folder by itself, without this package."""
    quiet = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, "test_model.py"], cwd=made, env=quiet, capture_output=True, text=True)
    if done.returncode:
        last = next(
            (line for line in reversed(done.stderr.splitlines()) if re.match(r"\w*(Error|Exception)", line)), ""
        )
        raise ArchiveError(f"{name}: the source does not build the same model ({last.strip()}), so it was not kept.")
