"""What every test shares: a quiet TensorFlow on the CPU, and the real data where the machine has it."""

import os
from pathlib import Path

# Set before anything imports Keras or TensorFlow.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets named by APPTEMPLATES_DATA; skips the test where there is none."""
    folder = os.environ.get("APPTEMPLATES_DATA")
    if not folder:
        pytest.skip("APPTEMPLATES_DATA does not name a folder of real data sets")
    return Path(folder)
