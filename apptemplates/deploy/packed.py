"""Templates on their way to another process: what `pickle` and `copy.deepcopy` make of them."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from apptemplates.data.table import Table


def reduced(app: Any) -> tuple[Any, ...]:
    """What `pickle` writes of a template: its saved folder where it is fitted, else its choices and what it saw."""
    if app.is_fitted:
        return opened, (type(app), zipped(app))
    observed = None if app.before_ is None else app.close_state(app.before_, share=False)
    return made, (type(app), app.get_params(), observed)


def made(cls: type, choices: dict[str, Any], observed: Table | None) -> Any:
    """The unfitted template."""
    app = cls(**choices)
    if observed is not None:
        app.before_ = app.state_ = app.open_state(observed)
    return app


def zipped(app: Any) -> bytes:
    """The saved folder as one file."""
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(content, "w") as archive:
        folder = app.save(Path(place) / "app")
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return content.getvalue()


def opened(cls: Any, content: bytes) -> Any:
    """The fitted template."""
    with tempfile.TemporaryDirectory() as place:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(place)
        return cls.load(place)
