"""MedicalScanClassifier on MedMNIST's official splits of PneumoniaMNIST and BreastMNIST.

    APPTEMPLATES_DATA=... python tests/benchmarks/images.py official|few|speed [--seeds 0 1 2] [--part val|test]

`official` learns from the train part, is calibrated and decides by the validation part, and is judged by the test part,
once, with the template's own choices. Choices are made on the validation part (`--part val`). `few` learns from 20
scans of each finding of BreastMNIST alone, from scratch and on top of a network that knows photographs (KERAS_HOME says
where its weights are). `speed` times the template's fit beside a hand-written Keras loop on the same network, and
`predict_one` beside bare LiteRT on the same graph.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import apptemplates as at
from apptemplates.evaluation import cost, intervals, metrics

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


# ---- 20 scans a finding ---------------------------------------------------------

WAYS: dict[str, dict[str, Any]] = {
    "from scratch": {"epochs": 60, "batch_size": 16},
    "transfer": {"backbone": "MobileNet:0.5", "weights": "imagenet", "size": 160, "epochs": 30, "batch_size": 16,
                 "learning_rate": 1e-3},
}  # fmt: skip


def few(seeds: list[int], part: str, number: int = 20) -> None:
    """ROC AUC with so few scans of each finding, and the difference with its interval over scans and draws."""
    whole, judged_by = scans("breast", "train"), scans("breast", part)
    ill = judged_by["finding"] == "malignant"
    chances: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        places = [rng.permutation(np.flatnonzero(whole["finding"] == word))[:number] for word in FINDINGS["breast"]]
        chosen = np.concatenate(places)
        some = {name: column[chosen] for name, column in whole.items()}
        for way, choices in WAYS.items():
            app = at.MedicalScanClassifier(patient=None, healthy=HEALTHY["breast"], seed=seed, **choices)
            chances[way].append(app.fit(some, verbose=0).predict(judged_by)["p_malignant"].to_numpy())
            print(f"seed {seed}, {way}: AUC {metrics.roc_auc(ill, chances[way][-1]):.4f}", flush=True)

    def mean(way: str, rows: np.ndarray) -> float:
        return float(np.mean([metrics.roc_auc(ill[rows], one[rows]) for one in chances[way]]))

    everything = np.arange(len(ill))
    draws = list(intervals.resamples(len(ill), None, 500, 0))
    for way in WAYS:
        print(way, intervals.interval(mean(way, everything), [mean(way, rows) for rows in draws]))
    scratch, transfer = WAYS
    gap = [mean(transfer, rows) - mean(scratch, rows) for rows in draws]
    print("difference", intervals.interval(mean(transfer, everything) - mean(scratch, everything), gap))


# ---- how fast -------------------------------------------------------------------


def speed(epochs: int = 4) -> None:
    """Seconds of a pass of the template and of a plain loop over the same network, and one answer beside LiteRT."""
    train, valid = scans("breast", "train"), scans("breast", "val")
    app = at.MedicalScanClassifier(patient=None, healthy=HEALTHY["breast"], epochs=epochs)
    clock = Passes()
    app.fit(train, validation=valid, callbacks=[clock], verbose=0)
    network = keras.models.clone_model(app.network_)
    network.compile(**app.objective())
    pixels = app.preprocessor_.predict(train["image"][..., None], verbose=0)
    flags, held_flags = (
        np.repeat((part["finding"][:, None] == np.array(app.classes.names, object)).astype("float32")[:, None],
                  network.output_shape[1], axis=1)
        for part in (train, valid)
    )  # fmt: skip
    data = tf.data.Dataset.from_tensor_slices((pixels, flags)).cache().shuffle(len(flags)).batch(app.batch_size)
    flip = keras.Sequential([keras.layers.RandomTranslation(0.1, 0.1), keras.layers.RandomRotation(0.04)])
    data = data.map(lambda x, y: (flip(x, training=True), y), num_parallel_calls=2).prefetch(2)
    held = app.preprocessor_.predict(valid["image"][..., None], verbose=0), held_flags
    plain = Passes()
    network.fit(data, validation_data=held, epochs=epochs, callbacks=[plain], verbose=0)
    print(
        f"a pass: template {clock.median:.2f} s, plain loop {plain.median:.2f} s, {clock.median / plain.median:.2f} x"
    )
    scan = {"image": valid["image"][0]}
    inputs = app.prepare({"image": valid["image"][:1]}, app.state_)
    app.predict_one(scan)
    ours = timed(lambda: app.predict_one(scan))
    bare = timed(lambda: app.fast_(inputs))
    decoding = timed(lambda: app.prepare({"image": valid["image"][:1]}, app.state_))
    print(
        f"one scan: predict_one {ours:.2f} ms of which decoding {decoding:.2f}, bare LiteRT {bare:.2f} ms, "
        f"{(ours - decoding) / bare:.2f} x"
    )


class Passes(keras.callbacks.Callback):
    """Seconds of each pass but the first, in which everything is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch:
            self.seconds.append(time.perf_counter() - self.began)

    @property
    def median(self) -> float:
        """The middle one."""
        return float(np.median(self.seconds))


def timed(ask: Any) -> float:
    """The median time of a call, in milliseconds."""
    return cost.latency(lambda _: ask(), [None], 300)["p50_ms"]


def main() -> None:
    """Measures and prints each row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["official", "few", "speed"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--part", default="test", choices=["val", "test"], help="val to make choices by")
    parser.add_argument("--only", nargs="+", default=list(FINDINGS), choices=list(FINDINGS))
    chosen = parser.parse_args()
    if chosen.what == "official":
        official(chosen.seeds, chosen.part, chosen.only)
    elif chosen.what == "few":
        few(chosen.seeds, chosen.part)
    else:
        speed()


if __name__ == "__main__":
    main()
