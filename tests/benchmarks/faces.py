"""FaceVerifier on LFW's View 1 and on the ORL faces.

    APPTEMPLATES_DATA=... python tests/benchmarks/faces.py lfw|aligned|orl|search [--minutes 25] [--seeds 0]

`lfw` learns from the people of peopleDevTrain alone, from the middle 60 x 60 of the 96 x 96 pixels, takes the threshold
from people held out of them, and is judged once by the 1,000 DevTest pairs, whose people are others. `aligned` is the
same with dlib's descriptor, faces found and turned upright; 60 people with four pictures each give its threshold. `orl`
learns from 30 people and is judged by the other 10, for each draw (`--seeds`) of them. `search` times the search among
100,000 enrolled faces. Choices are made with `--part val`.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

import apptemplates as at
from apptemplates.evaluation import metrics, verification

CROP = 18  # pixels cut off on each side of LFW's 96


def lfw_folder() -> Path:
    """Where LFW is."""
    return Path(os.environ["APPTEMPLATES_DATA"]) / "faces" / "lfw"


def lfw_picture(name: str, number: Any, whole: bool) -> Any:
    """One picture: its path where a face finder crops it, else the middle of it (60, 60, 3)."""
    path = lfw_folder() / "images" / name / f"{name}_{int(number):04d}.jpg"
    return str(path) if whole else np.asarray(Image.open(path))[CROP:-CROP, CROP:-CROP]


def column(pictures: list[Any]) -> np.ndarray:
    """Pictures as a column."""
    made = np.empty(len(pictures), object)
    made[:] = pictures if isinstance(pictures[0], str) else None
    for place, picture in enumerate(pictures):
        made[place] = picture
    return made


def lfw_people(whole: bool) -> dict[str, np.ndarray]:
    """The pictures of peopleDevTrain; four each of 60 people where nothing but the threshold is learned from them."""
    people = pd.read_csv(lfw_folder() / "peopleDevTrain.csv")
    if whole:
        people = people[people["images"] >= 4].head(60).assign(images=4)
    rows = [(name, number) for name, count in people.itertuples(index=False) for number in range(1, count + 1)]
    return {
        "image": column([lfw_picture(name, number, whole) for name, number in rows]),
        "person": np.array([name for name, _ in rows], object),
    }


def lfw_test_pairs(whole: bool) -> dict[str, np.ndarray]:
    """The 1,000 pairs of DevTest, of people who are not in peopleDevTrain."""
    own = pd.read_csv(lfw_folder() / "matchpairsDevTest.csv").to_numpy()
    strangers = pd.read_csv(lfw_folder() / "mismatchpairsDevTest.csv").to_numpy()
    pairs = [((n, a), (n, b)) for n, a, b in own] + [((n, a), (m, b)) for n, a, m, b in strangers]
    return {
        "first": column([lfw_picture(*first, whole) for first, _ in pairs]),
        "second": column([lfw_picture(*second, whole) for _, second in pairs]),
        "same": np.repeat([1.0, 0.0], [len(own), len(strangers)]),
    }


def best_threshold(same: np.ndarray, similarity: np.ndarray) -> float:
    """The similarity at which both errors together are fewest, each kind of pair counting the same."""
    own = same > 0
    values = np.unique(similarity)
    wrong = np.searchsorted(np.sort(similarity[own]), values) / own.sum()
    wrong = wrong + 1 - np.searchsorted(np.sort(similarity[~own]), values) / (~own).sum()
    return float(values[wrong.argmin()])


def judged(app: Any, held_out: dict[str, np.ndarray], pairs: dict[str, np.ndarray] | None) -> dict[str, float]:
    """What pairs say at the threshold that suits people held out while learning best; of None what those people say."""
    queries, truth = app.make_trials(app.record.check("benchmark", held_out)[0])
    first = app.predict(queries)
    usable = (first["problem"] == "").to_numpy()
    threshold = best_threshold(truth["same"][usable], first["similarity"].to_numpy()[usable])
    answers, same = (first, truth["same"]) if pairs is None else (app.predict(pairs), pairs["same"])
    usable = (answers["problem"] == "").to_numpy()
    # a pair that can not be read is taken for strangers
    similarity = np.where(usable, answers["similarity"].to_numpy(), -1.0)
    said = similarity >= threshold
    own = same > 0
    return {
        "accuracy": float((np.mean(said[own]) + np.mean(~said[~own])) / 2),
        "AUC": metrics.roc_auc(own, similarity),
        "EER": verification.equal_error_rate(same, similarity),
        "TAR at FAR 0.01": verification.true_accepts(same, similarity, 0.01),
        "unreadable pairs": int((~usable).sum()),
    }


def lfw(seeds: list[int], minutes: float, part: str, aligned: bool) -> None:
    """View 1: one line a seed."""
    for seed in seeds:
        app = at.FaceVerifier(seed=seed, **({"backbone": "dlib", "find": True} if aligned else {}))
        people = lfw_people(aligned)
        began = time.perf_counter()
        app.fit(people, minutes=minutes, verbose=0)
        spent = (time.perf_counter() - began) / 60
        held_out = app.split(people)[1]
        found = judged(app, held_out, None if part == "val" else lfw_test_pairs(aligned))
        sizes = {"parameters": app.network_.count_params(), "minutes": spent, "passes": app.learned_["training"]}
        print({"data": "LFW View 1", "seed": seed, "part": part, **found, **sizes}, flush=True)


def orl(seeds: list[int], minutes: float) -> None:
    """The equal error rate among 10 people who were not learned from, for each draw of them."""
    folder = Path(os.environ["APPTEMPLATES_DATA"]) / "faces" / "orl"
    files = sorted(folder.rglob("*.pgm"))
    table = {"image": column([str(file) for file in files]), "person": np.array([f.parent.name for f in files], object)}
    rates = []
    for seed in seeds:
        names = np.random.default_rng(seed).permutation(np.unique(table["person"]))
        test = np.isin(table["person"], names[:10])
        app = at.FaceVerifier(seed=seed)
        began = time.perf_counter()
        app.fit({name: values[~test] for name, values in table.items()}, minutes=minutes, verbose=0)
        spent = (time.perf_counter() - began) / 60
        place = np.flatnonzero(test)
        first, second = np.triu_indices(len(place), 1)
        vectors = app.embed(table["image"][place])
        same = table["person"][place[first]] == table["person"][place[second]]
        rates.append(verification.equal_error_rate(same, (vectors @ vectors.T)[first, second]))
        print({"data": "ORL", "split": seed, "EER": rates[-1], "minutes": spent}, flush=True)
    print({"data": "ORL", "splits": len(rates), "EER": float(np.mean(rates)), "spread": float(np.std(rates))})


def search() -> None:
    """Milliseconds to find the most alike of 100,000 people."""
    from apptemplates.inference.face_verifier import Gallery, named

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(100_000, 192)).astype("float32")
    gallery = Gallery(tuple(f"person {number}" for number in range(len(vectors))), vectors)
    asked = gallery.directions[[777]]
    named(gallery, asked, 1, 0.5)
    taken = []
    for _ in range(50):
        began = time.perf_counter()
        named(gallery, asked, 1, 0.5)
        taken.append(1000 * (time.perf_counter() - began))
    print({"people": len(gallery), "p50 ms": float(np.median(taken)), "p99 ms": float(np.quantile(taken, 0.99))})


def main() -> None:
    """Measures and prints each row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["lfw", "aligned", "orl", "search"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="for orl, the draws of people")
    parser.add_argument("--minutes", type=float, default=25.0, help="of each fit, at most")
    parser.add_argument("--part", default="test", choices=["val", "test"], help="val to make choices by")
    chosen = parser.parse_args()
    if chosen.what == "search":
        search()
    elif chosen.what == "orl":
        orl(chosen.seeds, chosen.minutes)
    else:
        lfw(chosen.seeds, chosen.minutes, chosen.part, chosen.what == "aligned")


if __name__ == "__main__":
    main()
