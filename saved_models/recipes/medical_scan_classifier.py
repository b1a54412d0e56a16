"""Makes saved_models/medical_scan_classifier/ from PneumoniaMNIST.

    APPTEMPLATES_DATA=... python saved_models/recipes/medical_scan_classifier.py [folder]

Learns from the official train part (4,708 chest X-rays of 28 x 28 pixels), is calibrated and decides by the validation
part, and is judged by the official test part. No scan is in the folder (`share=True`).
"""

import os
import sys
from pathlib import Path

import numpy as np

import apptemplates as at

LICENCE = (
    "PneumoniaMNIST of MedMNIST v2 (Yang et al., 2023; Kermany et al., 2018), CC BY 4.0; only weights learned from it "
    "are here, and no scan. Not for clinical use"
)
NAMES = np.array(["normal", "pneumonia"], object)


def scans(part: str) -> dict[str, np.ndarray]:
    """One official part: images (n, 28, 28) uint8 and what was found."""
    with np.load(Path(os.environ["APPTEMPLATES_DATA"]) / "medmnist" / "pneumoniamnist.npz") as archive:
        return {"image": archive[f"{part}_images"], "finding": NAMES[archive[f"{part}_labels"][:, 0]]}


def main(folder: Path) -> None:
    """Fits, evaluates and saves."""
    # two readers instead of three keep the folder under 5 MB
    app = at.MedicalScanClassifier(patient=None, readers=2).fit(scans("train"), validation=scans("val"))
    app.report_ = app.evaluate(scans("test"))
    print(app.report_)
    app.save(folder, share=True, licence=LICENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "medical_scan_classifier")
