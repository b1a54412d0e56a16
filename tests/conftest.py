"""What every test shares: a quiet TensorFlow on the CPU, and the real data where the machine has it."""

import gc
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
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


BEGIN = """
import os, sys
for stream, file in ((1, {out!r}), (2, {err!r})):
    os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), stream)
os.chdir({cwd!r})
sys.argv, sys.path[:0] = {argv!r}, {path!r}
sys.dont_write_bytecode = True
del os, sys
"""


@pytest.fixture(scope="session")
def start_process(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[multiprocessing.Process, Path]]:
    """Runs a program in a process of its own, like `python -c`, that need not import TensorFlow first.

    It is forked from one that has imported what others wrote, nothing of this package, and done nothing else. Gives
    the process and the folder of what it says, `out` and `err`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "pandas", "pyarrow.parquet", "sklearn.linear_model"])

    def start(code: str, *words: object, cwd: object = ".", path: tuple[object, ...] = ()) -> tuple:
        said = tmp_path_factory.mktemp("said")
        begin = BEGIN.format(
            out=str(said / "out"), err=str(said / "err"), cwd=str(cwd), argv=["-c", *map(str, words)],
            path=list(map(str, path)),
        )  # fmt: skip
        process = context.Process(target=exec, args=(begin + code, {"__name__": "__main__"}))
        process.start()
        return process, said

    return start


@pytest.fixture(scope="session")
def run_process(start_process: Callable[..., tuple]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """As `start_process`, with what became of it."""

    def whole(code: str, *words: object, **place: object) -> subprocess.CompletedProcess[str]:
        process, said = start_process(code, *words, **place)
        process.join()
        out, err = ((said / name).read_text() for name in ("out", "err"))
        return subprocess.CompletedProcess([sys.executable, "-c", code, *words], process.exitcode, out, err)

    return whole


ONE_BY_ONE = """
import runpy, sys
for words in {}:
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
"""


@pytest.fixture(scope="session")
def run_scripts(run_process: Callable[..., subprocess.CompletedProcess]) -> Callable[..., subprocess.CompletedProcess]:
    """Runs scripts of a folder one after the other in one process, as `run_process`."""

    def whole(folder: Path, *scripts: list[object], path: tuple[object, ...] = ()) -> subprocess.CompletedProcess:
        code = ONE_BY_ONE.format([list(map(str, words)) for words in scripts])
        return run_process(code, cwd=folder, path=("", *path))

    return whole


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets named by APPTEMPLATES_DATA; skips the test where there is none."""
    folder = os.environ.get("APPTEMPLATES_DATA")
    if not folder:
        pytest.skip("APPTEMPLATES_DATA does not name a folder of real data sets")
    return Path(folder)
