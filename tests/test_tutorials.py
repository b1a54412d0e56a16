"""Every tutorial runs from top to bottom on the data that templates bring along, and is shipped with what it shows."""

import importlib.util
import os
import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager

from apptemplates import _catalogue

FOLDER = Path(__file__).parents[1] / "tutorials"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
PLACES = re.compile(r"(?<![\w.~:/])/\w+/\w|[A-Z]:\\")  # a path from the root of any machine


@pytest.fixture(scope="module")
def notebooks():
    spec = importlib.util.spec_from_file_location("notebooks", Path(__file__).parent / "benchmarks" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_application_has_one():
    assert {entry.file for entry in _catalogue.ENTRIES} <= set(NAMES)
    assert {"00_start_here", "reading_a_report", "add_a_template"} <= set(NAMES)


@pytest.fixture(scope="session")
def kernel():
    """One for all, since TensorFlow takes seconds to import."""
    manager = KernelManager()
    variables = {name: value for name, value in os.environ.items() if name != "APPTEMPLATES_DATA"}
    manager.start_kernel(env=variables)
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs(name, notebooks, kernel):
    notebook, _ = notebooks.run(FOLDER / f"{name}.ipynb", kernel)  # a cell that fails raises
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    told = "".join(one.get("text", "") for cell in code for one in cell.outputs)
    assert not re.search("Warning|WARNING|INFO:", told), told


@pytest.mark.parametrize("name", NAMES)
def test_it_is_shipped_with_what_it_shows(name):
    path = FOLDER / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [one for cell in code for one in cell.outputs]
    assert not any(one.output_type == "error" for one in outputs)
    assert any("image/png" in one.get("data", {}) for one in outputs)
    shown = "".join(one.get("text", "") + str(one.get("data", {}).get("text/plain", "")) for one in outputs)
    assert not PLACES.search(shown + "".join(cell.source for cell in notebook.cells))
    assert path.stat().st_size < 700_000
