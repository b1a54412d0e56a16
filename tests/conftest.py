"""What every test shares: a quiet TensorFlow on the CPU, and the real data where the machine has it."""

import gc
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


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it for what can be freed took a tenth of the time of all tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """With `-n`, tests that share what was fitted share a process: those of a file, or of an entry of the catalogue."""
    from xdist.scheduler import LoadScopeScheduling

    class BySharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, rest = nodeid.partition("::")
            if file.endswith("test_tutorials.py"):
                return nodeid  # these share nothing
            entry = rest.partition("[")[2].partition("-")[0].rstrip("]") if file.endswith("test_catalogue.py") else ""
            return f"{file} {entry}"

    return BySharing(config, log)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets named by APPTEMPLATES_DATA; skips the test where there is none."""
    folder = os.environ.get("APPTEMPLATES_DATA")
    if not folder:
        pytest.skip("APPTEMPLATES_DATA does not name a folder of real data sets")
    return Path(folder)
