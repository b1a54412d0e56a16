"""Recommender against simple methods, every unseen item ranked: prints the table that the README quotes.

    APPTEMPLATES_DATA=... python tests/benchmarks/recommend.py [ml-1m beauty lastfm ml-100k speed] [--judge test]

ml-1m: the given split, sets, NDCG@20 and recall@20. beauty, lastfm: the last item of each line is the test, sequences,
hit rate@10 and NDCG@10. ml-100k: a random 80/10/10 of each user's items, seed 2026, sets, NDCG@10. Each is fitted to
what is not the test; what the template holds out of that is all that anything is chosen by. `--judge held-out` prints
those numbers and leaves the test alone. `speed` times answers, among them of a made-up catalogue of a million items.
"""

import argparse
import gzip
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import apptemplates as at
from apptemplates.data import interactions
from apptemplates.evaluation import cost, ranking, simple_rankings

FILES = {"beauty": "Beauty.txt.gz", "lastfm": "LastFM.txt.gz"}
Split = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def folder(name: str) -> Path:
    return Path(os.environ["APPTEMPLATES_DATA"]) / "recommend" / name


def lines(path: Path) -> dict[str, np.ndarray]:
    """The interactions in lines of "user item item ..."."""
    return interactions.from_lines(path, gzip.decompress(path.read_bytes()))


def last_ones(name: str) -> Split:
    """All interactions but the last one of each user, and that one."""
    table = lines(folder(name) / FILES[name])
    last = np.append(table["user"][1:] != table["user"][:-1], True)
    return {n: c[~last] for n, c in table.items()}, {n: c[last] for n, c in table.items()}


def movies() -> Split:
    """A random 80/10/10 of each user's items in ml-100k, seed 2026: the first two parts, and the third."""
    frame = pd.read_csv(folder("ml-100k") / "u.data.gz", sep="\t", names=["user", "item", "rating", "time"])
    frame = frame.iloc[np.random.default_rng(2026).permutation(len(frame))]
    place = frame.groupby("user").cumcount() / frame.groupby("user")["item"].transform("size")
    table = {name: frame[name].to_numpy() for name in ("user", "item")}
    test = (place >= 0.9).to_numpy()
    return {n: c[~test] for n, c in table.items()}, {n: c[test] for n, c in table.items()}


def load(name: str) -> tuple[Any, Split]:
    """An unfitted template, and what it learns from and is judged by."""
    if name == "ml-1m":
        app = at.Recommender(k=20, hold_out="some")
        return app, (lines(folder(name) / "train.txt.gz"), lines(folder(name) / "test.txt.gz"))
    if name == "ml-100k":
        return at.Recommender(k=10, hold_out="some"), movies()
    return at.Recommender(k=10, time="place", hold_out="last"), last_ones(name)


def measure(name: str, seed: int, judge: str, limit: float | None) -> None:
    """Fits and judges one set."""
    app, (train, test) = load(name)
    began = time.perf_counter()
    app = app.clone(seed=seed).fit(train, minutes=limit, verbose=0)
    minutes = (time.perf_counter() - began) / 60
    learned = app.learned_
    print(
        f"\n{name}, seed {seed}: fit {minutes:.1f} minutes, {learned['kind']}, {learned['training']['epochs']} epochs"
    )
    print(f"closed form {learned['closed']}, share of the network {learned['share']}, held out: {learned['held out']}")
    if judge == "held-out":
        return
    began = time.perf_counter()
    answers = app.predict({"user": np.unique(test["user"])})
    print(f"{len(answers):,} users ranked in {time.perf_counter() - began:.1f} s")
    if len(app.catalogue) <= simple_rankings.COMPARED:
        print("plain EASE:", {name: round(value, 4) for name, value in plain_ease(app, train, test).items()})
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(app.evaluate(test).table.round(4).to_string(index=False))


def plain_ease(app: Any, train: dict[str, np.ndarray], test: dict[str, np.ndarray]) -> dict[str, float]:
    """EASE alone, its ridge chosen on what the template holds out, learned from all of train: numbers on the test."""
    records = app.record.check("EASE", train)[0]
    names = np.unique(records["item"].astype(str))
    rows = dict(zip(names, range(1, len(names) + 1), strict=True))

    def histories(table: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        frame = pd.DataFrame({"user": table["user"], "row": [rows.get(str(item), 0) for item in table["item"]]})
        return {user: part.to_numpy() for user, part in frame[frame.row > 0].groupby("user").row}

    earlier, later = (histories(part) for part in app.clone().split(records))
    people = [user for user in later if user in earlier]
    judged = simple_rankings.Judged([earlier[p] for p in people], [later[p] for p in people], app.k, len(names))
    found = {}
    for strength in simple_rankings.STRENGTHS:
        weights = simple_rankings.ease(list(earlier.values()), len(names), strength, 0.0)
        found[strength] = judged.ndcg(simple_rankings.flags(judged.past, len(names)) @ weights)
    everybody, wanted = histories(records), app.record.check("EASE", test)[0]
    weights = simple_rankings.ease(list(everybody.values()), len(names), max(found, key=lambda one: found[one]), 0.0)
    people = list(dict.fromkeys(wanted["user"].tolist()))
    past = [everybody.get(user, np.empty(0, int)) for user in people]
    scores = simple_rankings.flags(past, len(names)) @ weights
    for row, taken in enumerate(past):
        scores[row, taken - 1] = -np.inf
    lists = names[ranking.top_rows(scores, app.k)].tolist()
    taken = pd.DataFrame(wanted).groupby("user")["item"].agg(list).reindex(people).tolist()
    return ranking.score(taken, lists, app.k)


def speed() -> None:
    """How long one answer takes: of the demo, of ml-1m, and of a million items."""
    from apptemplates.layers import item_networks, ranking, sequence

    million, places = 1_000_000, 50
    import keras

    history = keras.Input((places,), dtype="int32", name="history")
    preprocessor = keras.Model({"history": history}, ranking.Recent(places)(history), name="preprocessor")
    network = sequence.next_item_network(million, places, 32)
    followers = item_networks.Followers(million, 100, 0.8, name="closed")
    random = np.random.default_rng(0)
    rows = random.integers(1, million, (million + 1, 100)).astype("int32")
    simple = ranking.Simple(followers, (rows, random.random(rows.shape).astype("float32")), places)
    names = [f"item-{row:07d}" for row in range(million)]
    popular = random.random(million).astype("float32")
    model = ranking.answer_graph(
        preprocessor, sequence.next_item(network), simple, names, None, popular, 0.5, places, 100
    )
    from apptemplates.deploy import fast

    call = fast.batch(model)
    inputs = {"history": random.integers(1, million, (1, places)).astype("int32"), "again": np.zeros(1, "float32")}
    inputs |= {name: np.zeros((1, 256), "int32") for name in ("exclude", "candidates")}
    print(f"one answer among {million:,} items: p50 {clock(lambda: call(inputs), 30):.1f} ms")
    app, (train, _) = load("ml-1m")
    app = app.clone(epochs=1, refit=False).fit(train, verbose=0)
    user = int(train["user"][0])
    print(f"one user's top 20 of ml-1m: p50 {clock(lambda: app.predict_one({'user': user}), 200):.2f} ms")
    began = time.perf_counter()
    count = len(app.predict({"user": np.unique(train["user"])}))
    print(f"{count:,} users ranked in {time.perf_counter() - began:.1f} s")


def clock(ask: Any, repeats: int) -> float:
    """The median time of a call, in milliseconds."""
    return cost.latency(lambda _: ask(), [None], repeats)["p50_ms"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["ml-1m", "beauty", "lastfm", "ml-100k", "speed"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--judge", choices=("test", "held-out"), default="test")
    parser.add_argument("--minutes", type=float, help="of each fit, at most")
    arguments = parser.parse_args()
    for name in arguments.sets:
        if name == "speed":
            speed()
        else:
            for seed in arguments.seeds:
                measure(name, seed, arguments.judge, arguments.minutes)


if __name__ == "__main__":
    main()
