"""The tutorials from top to bottom: prints how long each takes, and keeps what they show.

    [APPTEMPLATES_DATA=...] python tests/benchmarks/notebooks.py [fraud_detector ...] [--write]

With the variable they use real data where they can, without it the data that templates bring along. `--write` puts the
outputs into the notebooks, which is how they are shipped (made without the variable).
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "tutorials"
LIMIT = 600  # seconds of a cell


def run(path: Path, kernel: Any = None) -> tuple[nbformat.NotebookNode, float]:
    """A notebook with what its cells gave, in an empty folder, and the seconds it took.

    Args:
        kernel: The manager of a running one, whose names are forgotten first; by default a new one.

    Raises:
        CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        if kernel is not None:
            client = kernel.client()
            client.start_channels()
            client.wait_for_ready(timeout=LIMIT)
            code = f"import os\nos.chdir({place!r})\n%reset -f"
            reply = client.execute_interactive(code, store_history=False, timeout=LIMIT)
            client.stop_channels()
            if reply["content"]["status"] != "ok":
                raise RuntimeError(f"the kernel does not go on: {reply['content']}")
        NotebookClient(notebook, km=kernel, timeout=LIMIT, resources={"metadata": {"path": place}}).execute()
    return notebook, time.perf_counter() - began


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Keeps a notebook with its outputs, but for logs, times and the kernel's version."""
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=sorted(path.stem for path in FOLDER.glob("*.ipynb")))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.names:
        path = FOLDER / f"{name}.ipynb"
        notebook, seconds = run(path)
        print(f"{name}: {seconds:.0f} s", flush=True)
        if arguments.write:
            write(notebook, path)


if __name__ == "__main__":
    main()
