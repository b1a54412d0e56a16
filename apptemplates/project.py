"""A small project of one's own: the layout of the data to fill, scripts to learn and to ask, a notebook, a README."""

import json
import os
import wave
from pathlib import Path
from typing import Any

import numpy as np

from apptemplates.data.table import Table, rows
from apptemplates.deploy.folder import new_folder

TRAIN = '''"""Learns from data/ and saves what was learned as model/, with a report beside it.

    python train.py [minutes]
"""

import sys
from pathlib import Path

import apptemplates as at

HERE = Path(__file__).parent
DATA = HERE / {data!r}


def main(minutes: float) -> None:
    app = at.{name}({choices})
    for finding in app.check(DATA, probe=False).findings:
        print(f"{{finding.severity}}: {{finding.message}} {{finding.fix}}")
    app.fit(DATA, minutes=minutes)
    print(app.report_)
    app.report_.save(HERE / "report.html")
    app.save(HERE / "model")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10)
'''
PREDICT = '''"""Answers queries with what train.py saved, as csv.

    python predict.py {asked} > answers.csv
"""

import sys
from pathlib import Path

import apptemplates as at

HERE = Path(__file__).parent

if __name__ == "__main__":
    at.load(HERE / "model").predict(sys.argv[1]).to_csv(sys.stdout, index=False)
'''
README = """# {title}

{answers}

Not for: {not_for}

## Your data

What lies in `data/` was made up, to show the form. Put your own in its place:

{layout}

| column | kind | meaning |
|---|---|---|
{columns}

Columns that are named in `train.py` have a role; others describe a record and are used as they are.

## Run

```sh
pip install apptemplates
python train.py 10                       # minutes; writes model/ and report.html
python predict.py {asked} > answers.csv
```

`notebook.ipynb` does the same step by step. `apptemplates show {name}` tells all choices.
"""


def new(template: type, folder: str | os.PathLike[str]) -> Path:
    """Writes a project that runs at once on made-up data.

    Args:
        template: A class of the catalogue.
        folder: Is made; must not be there, or be empty.

    Returns:
        The folder.

    Raises:
        ArchiveError: The place is taken or can not be written; nothing is left there.
    """
    with new_folder("new", folder) as made:
        _write(template, made)
    return Path(folder).absolute()


def _write(template: Any, place: Path) -> None:
    app, records = template.demo()
    data, layout = _data(app, records, place)
    checked = template(**(given := choices(app, records))).check(place / data, probe=False)
    words = {
        "name": template.__name__,
        "title": app.card.title,
        "answers": app.card.answers,
        "not_for": app.card.not_for,
        "choices": ", ".join(f"{name}={written(value)}" for name, value in given.items()),
        "data": data,
        "asked": data,
        "layout": layout,
        "columns": "\n".join(f"| `{one.column}` | {one.kind} | {one.meaning} |" for one in checked.table.itertuples()),
    }
    (place / "train.py").write_text(TRAIN.format(**words), encoding="utf-8")
    (place / "predict.py").write_text(PREDICT.format(**words), encoding="utf-8")
    (place / "README.md").write_text(README.format(**words), encoding="utf-8")
    (place / "notebook.ipynb").write_text(json.dumps(_notebook(words), indent=1), encoding="utf-8")


def choices(app: Any, records: Table) -> dict[str, Any]:
    """The choices of a demo that are about its columns and costs, not about how quickly it learns."""
    usual = type(app)(**{name: value for name, value in app.get_params().items() if name == "label"}).get_params()
    found = {}
    for name, value in app.get_params().items():
        columns = value if isinstance(value, list) else [value]
        named = bool(columns) and all(isinstance(one, str) and one in records for one in columns)
        if (name == "policy" and value != usual[name]) or (named and (value != usual[name] or name == "label")):
            found[name] = value
    return found


def written(value: Any) -> str:
    """A choice as code."""
    if isinstance(value, dict):
        return f"at.Policy({', '.join(f'{name}={one!r}' for name, one in value.items())})"
    return repr(tuple(value)) if isinstance(value, list) else repr(value)


def _data(app: Any, records: Table, place: Path) -> tuple[str, str]:
    """Writes the records in the form people have them in; where they are, and the layout in words."""
    import pandas as pd

    (place / "data").mkdir()
    media = next((name for name, field in app.record.items() if field.kind in ("image", "sound")), None)
    prose = next((name for name, field in app.record.items() if field.kind == "passage"), None)
    if prose is not None:
        for row, text in enumerate(records[prose][:200]):
            (place / "data" / f"{row:04d}.txt").write_text(text, encoding="utf-8")
        return "data", "```\ndata/\n  0000.txt      one text a file, utf-8\n  0001.txt ...\n```"
    if media is None:
        pd.DataFrame(records).to_csv(place / "data" / "records.csv", index=False)
        header = ",".join(records)
        return "data/records.csv", f"One row a record in `data/records.csv` (or a .parquet):\n\n```\n{header}\n```"
    sound = app.record[media].kind == "sound"
    ending = "wav" if sound else "png"
    (place / "data" / "media").mkdir()
    names = [f"media/{row:04d}.{ending}" for row in range(rows(records))]
    for name, value in zip(names, records[media], strict=True):
        (_wav if sound else _png)(value, place / "data" / name)
    index = {"path": names} | {name: column for name, column in records.items() if name != media}
    pd.DataFrame(index).to_csv(place / "data" / "index.csv", index=False)
    return "data", (
        f"```\ndata/\n  index.csv     {','.join(index)}\n  media/        0000.{ending} 0001.{ending} ...\n```\n\n"
        "Or no index at all: a subfolder for each label, with its files."
    )


def _png(pixels: np.ndarray, path: Path) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)


def _wav(samples: np.ndarray, path: Path, rate: int = 16_000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())


def _notebook(words: dict[str, str]) -> dict[str, Any]:
    """The steps of the scripts as cells."""
    cells = [
        f"# {words['title']}\n\n{words['answers']}",
        f"%matplotlib inline\nimport apptemplates as at\n\napp = at.{words['name']}({words['choices']})\napp",
        f"app.check({words['data']!r})",
        f"app.fit({words['data']!r}, minutes=1)\napp.report_",
        "app.save('model')",
    ]

    def cell(place: int, source: str) -> dict[str, Any]:
        text = {"id": f"cell-{place}", "metadata": {}, "source": source.splitlines(keepends=True)}
        if place == 0:
            return {"cell_type": "markdown", **text}
        return {"cell_type": "code", "execution_count": None, "outputs": [], **text}

    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = [cell(place, source) for place, source in enumerate(cells)]
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
