"""MedicalScanClassifier on MedMNIST's official splits of PneumoniaMNIST and BreastMNIST.

    APPTEMPLATES_DATA=... python tests/benchmarks/images.py official [--seeds 0 1 2] [--part val|test]

Learns from the train part, is calibrated and decides by the validation part, and is judged by the test part, once, with
the template's own choices. Choices are made on the validation part (`--part val`).
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import apptemplates as at
from apptemplates.evaluation import metrics

FINDINGS = {"pneumonia": ("normal", "pneumonia"), "breast": ("malignant", "normal or benign")}
HEALTHY = {"pneumonia": "normal", "breast": "normal or benign"}


def scans(name: str, part: str) -> dict[str, np.ndarray]:
    """One official part of a data set: images (n, 28, 28) uint8 and the words of its labels."""
    with np.load(Path(os.environ["APPTEMPLATES_DATA"]) / "medmnist" / f"{name}mnist.npz") as archive:
        labels = archive[f"{part}_labels"][:, 0]
        words = np.array(FINDINGS[name], object)[labels]
        return {"image": archive[f"{part}_images"], "finding": words}


def learned(name: str, seed: int) -> Any:
    """A template fitted to the train part, decided by the validation part."""
    app = at.MedicalScanClassifier(patient=None, healthy=HEALTHY[name], seed=seed)
    return app.fit(scans(name, "train"), validation=scans(name, "val"), verbose=0)


def judged(app: Any, name: str, part: str) -> tuple[np.ndarray, np.ndarray, Any]:
    """Whether each scan is ill (n,), the chance of it, and all answers."""
    records = scans(name, part)
    answers = app.predict(records)
    ill = next(word for word in FINDINGS[name] if word != HEALTHY[name])
    return records["finding"] == ill, answers[f"p_{ill}"].to_numpy(), answers


# ---- the official splits -------------------------------------------------------


def official(seeds: list[int], part: str, only: list[str]) -> None:
    """AUC, accuracy, calibration and what is left after the least sure tenth went to a person."""
    rows = []
    for name in only:
        for seed in seeds:
            began = time.perf_counter()
            app = learned(name, seed)
            minutes = (time.perf_counter() - began) / 60
            ill, chance, answers = judged(app, name, part)
            wrong = (answers["finding"] != scans(name, part)["finding"]).to_numpy()
            rows.append(
                {
                    "data": name,
                    "seed": seed,
                    "AUC": metrics.roc_auc(ill, chance),
                    "accuracy": float(1 - wrong.mean()),
                    **referral(app, name, part),
                    **calibration_of(app, name, part),
                    "parameters": app.network_.count_params(),
                    "minutes": minutes,
                }
            )
            print(rows[-1], flush=True)
    frame = pd.DataFrame(rows).drop(columns="seed")
    print(f"mean of seeds {seeds}, {part} part")
    print(frame.groupby("data", sort=False).mean().T.round(4).to_string())
    print("standard deviation")
    print(frame.groupby("data", sort=False).std().T.round(4).to_string())


def referral(app: Any, name: str, part: str) -> dict[str, float]:
    """The error without referral, and of the surest nine tenths."""
    records = scans(name, part)
    report = app.evaluate(records).metrics
    whole, kept = report["error rate"].value, report["error rate of the surest 90 %"].value
    return {"error": whole, "error of surest 90 %": kept, "fall": 1 - kept / whole}


def calibration_of(app: Any, name: str, part: str) -> dict[str, float]:
    """ECE of 15 bins without a temperature, with it, and with the prevalence of this part stated as well."""
    ill, chance, _ = judged(app, name, part)
    odds = np.log(chance) - np.log1p(-chance)
    raw = 1 / (1 + np.exp(-odds * app.learned_["temperature"]))
    app.set_policy(prevalence=float(ill.mean()))
    stated = judged(app, name, part)
    accuracy = float((stated[2]["finding"] == scans(name, part)["finding"]).mean())
    app.set_policy()
    return {
        "ECE before": metrics.ece(ill, raw),
        "ECE": metrics.ece(ill, chance),
        "ECE with prevalence": metrics.ece(ill, stated[1]),
        "accuracy with prevalence": accuracy,
    }


def main() -> None:
    """Measures and prints each row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["official"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", default="test", choices=["val", "test"], help="val to make choices by")
    parser.add_argument("--only", nargs="+", default=list(FINDINGS), choices=list(FINDINGS))
    chosen = parser.parse_args()
    official(chosen.seeds, chosen.part, chosen.only)


if __name__ == "__main__":
    main()
