"""What must stay quick: `import apptemplates`, `--help` and `list` load neither TensorFlow nor pandas."""

import statistics
import subprocess
import sys
import time

import pytest

from apptemplates import _catalogue

HEAVY = ("tensorflow", "keras", "pandas", "sklearn", "matplotlib", "numpy", "rich")


def seconds(*words):
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - start


def median_beyond_bare(*words, times=9):
    """Median over fresh processes, each beside a bare interpreter so that both see the same busy machine."""
    return statistics.median(seconds(*words) - seconds("-c", "pass") for _ in range(times))


def test_import_takes_under_50_ms():
    assert median_beyond_bare("-c", "import apptemplates") < 0.05


@pytest.mark.parametrize("words", [["--help"], ["list"], ["train", "--help"]])
def test_help_and_list_take_under_half_a_second(words):
    assert statistics.median(seconds("-m", "apptemplates.cli", *words) for _ in range(5)) < 0.5


def loaded_by(program):
    program += f"\nimport sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.strip()


def test_import_loads_nothing_heavy():
    assert loaded_by("import apptemplates; dir(apptemplates); apptemplates.__version__") == "[]"


@pytest.mark.parametrize("words", [["list"], ["--help"], ["train", "--help"]])
def test_help_and_list_load_nothing_heavy(words):
    program = f"""
import contextlib, io
from apptemplates.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main({words!r})
"""
    assert loaded_by(program) == "[]"


@pytest.mark.parametrize(
    "module",
    ["data.schema", "data.table", "deploy.folder", "deploy.fast", "deploy.archive", "deploy.runtime"]
    + [f"inference.{entry.file}" for entry in _catalogue.ENTRIES],
)
def test_the_modules_of_answering_need_only_numpy(module):
    assert loaded_by(f"import apptemplates.{module}") in ("['numpy']", "[]")


def test_an_unknown_name_is_an_attribute_error():
    import apptemplates

    with pytest.raises(AttributeError, match="no attribute 'FrodDetector'"):
        apptemplates.FrodDetector  # noqa: B018
