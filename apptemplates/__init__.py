"""Ready-made deep-learning applications on Keras: data in, a measured and saved model out."""

import importlib
from typing import Any

from apptemplates._catalogue import ENTRIES

__version__ = "0.1.0"

# where each public name lives; a name is loaded when it is first used, so that importing the package costs nothing
_HOMES = {entry.name: f"apptemplates.templates.{entry.file}" for entry in ENTRIES} | {
    "Policy": "apptemplates.policy",
    "Schema": "apptemplates.data.schema",
    "Field": "apptemplates.data.schema",
    "DataError": "apptemplates.data.schema",
    "read": "apptemplates.data.readers",
    "Report": "apptemplates.evaluation.report",
    "Template": "apptemplates.template",
    "Card": "apptemplates.template",
    "NotFittedError": "apptemplates.template",
    "ArchiveError": "apptemplates.deploy.archive",
    "load": "apptemplates.deploy.archive",
}

__all__ = ["__version__", "catalogue", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'apptemplates' has no attribute {name!r}; it has {', '.join(sorted(__all__))}.")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def catalogue() -> Any:
    """The applications there are, as a `pandas.DataFrame`: name, title, what it answers."""
    import pandas

    return pandas.DataFrame(ENTRIES, columns=["name", "file", "title", "answers"])
