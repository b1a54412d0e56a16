"""What every test shares: a quiet TensorFlow on the CPU, and the real data where the machine has it."""

import os
from pathlib import Path

# Set before anything imports Keras or TensorFlow.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
THREADS = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"  # processes side by side have one core each
for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, THREADS)
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `-n`, tests that share what was fitted share a process: those of a file, or of an entry of the catalogue."""
    for item in items:
        given = getattr(item, "callspec", None)
        entry = given.params.get("case") if given is not None else None
        if item.path.name == "test_tutorials.py":
            continue  # these share nothing
        group = item.path.as_posix(), getattr(entry, "file", "")
        item.add_marker(pytest.mark.xdist_group(" ".join(group)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets named by APPTEMPLATES_DATA; skips the test where there is none."""
    folder = os.environ.get("APPTEMPLATES_DATA")
    if not folder:
        pytest.skip("APPTEMPLATES_DATA does not name a folder of real data sets")
    return Path(folder)
