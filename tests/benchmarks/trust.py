"""RiskScorer against trees and a linear model, and what treating groups evenly costs: prints what the README quotes.

    APPTEMPLATES_DATA=... python tests/benchmarks/trust.py [risk parity suspects diagnose curve probe
        coverage explain timing]
        [--only adult german ...] [--seeds 0]

`risk`: Adult by its official split; German credit (a miss costs five needless alarms), 5 folds; Taiwan's card defaults,
5 folds; readmissions of diabetes130, a fifth of the patients held out; Telco, 5 folds. LightGBM with its defaults and
logistic regression learn from the same rows in the same run. `parity`: Adult with the two ways of mitigation by sex.
`suspects`: test labels made wrong, and whether they are found. `diagnose`: the same of training labels, by
`fit(diagnose=True)`. `curve`: what learning curves foresee of twice the rows, and what these give. `probe`: what
`check` foresees of a fit, and that fit. `coverage`: how often the 95 % intervals of small samples hold what the whole
test part gives (for the ECE after what chance makes of it is taken off).
`explain`: whether the explanations of each saved model beat random orders, and what of them shuffled weights leave.
`timing`: seconds that `check` of 100,000 payments, of some thousand scans and of some thousand clips takes, and the
reports on the test parts.
Everything is chosen by rows that the template holds out of the training part.
"""

import argparse
import os
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import apptemplates as at
from apptemplates.contract import Part
from apptemplates.data import splits, synthetic_shop
from apptemplates.evaluation import certainty, diagnosis, intervals, metrics, randomised
from apptemplates.evaluation.cost import resident
from apptemplates.evaluation.report import Report

DATA = Path(os.environ["APPTEMPLATES_DATA"]) / "tabular"
SAVED = Path(__file__).parents[2] / "saved_models"
ADULT = [
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship"),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
]
PARTS = ["risk", "parity", "suspects", "diagnose", "curve", "probe", "coverage", "explain", "timing"]
Fold = tuple[pd.DataFrame, pd.DataFrame]


def adult() -> tuple[dict[str, Any], Iterator[Fold]]:
    """Choices of the template, and the official split."""
    parts = []
    for part in ("train", "test"):
        frame = pd.read_csv(DATA / "adult" / f"adult-{part}.csv.gz", names=ADULT, skipinitialspace=True, na_values="?")
        frame["income"] = frame.income.str.rstrip(".")
        parts.append(frame)
    return {"label": "income", "event": ">50K"}, iter([(parts[0], parts[1])])


def german() -> tuple[dict[str, Any], Iterator[Fold]]:
    """Bad credit is the event, and a miss costs five alarms."""
    frame = pd.read_csv(DATA / "german_credit" / "german.csv", header=None)
    frame.columns = [*(f"attribute {number}" for number in range(1, 21)), "bad"]
    frame["bad"] = frame.bad - 1
    return {"label": "bad", "policy": at.Policy(cost_of_miss=5.0, cost_of_alarm=1.0)}, folds(frame, "bad")


def taiwan() -> tuple[dict[str, Any], Iterator[Fold]]:
    """Defaults on a card."""
    frame = pd.read_csv(next((DATA / "credit_default_taiwan").glob("*.csv.gz")))
    return {"label": "default payment"}, folds(frame, "default payment")


def telco() -> tuple[dict[str, Any], Iterator[Fold]]:
    """Customers lost."""
    frame = pd.read_csv(DATA / "telco_churn" / "Telco-Customer-Churn.csv.gz", na_values=" ")
    return {"label": "Churn", "ignore": ("customerID",)}, folds(frame, "Churn")


def diabetes() -> tuple[dict[str, Any], Iterator[Fold]]:
    """Readmitted within 30 days; a fifth of the patients is the test."""
    with zipfile.ZipFile(DATA / "diabetes130" / "dataset_diabetes.zip") as archive:
        name = next(one for one in archive.namelist() if one.endswith("/diabetic_data.csv") and "MACOSX" not in one)
        with archive.open(name) as file:
            frame = pd.read_csv(file, na_values="?", keep_default_na=False, low_memory=False)
    frame = frame.drop(columns=["encounter_id", "weight"]).assign(early=(frame.readmitted == "<30").astype(int))
    frame = frame.drop(columns="readmitted")
    patients = frame.patient_nbr.unique()
    test = np.isin(frame.patient_nbr, np.random.default_rng(0).permutation(patients)[: len(patients) // 5])
    # codes of diagnoses and of admissions are names, not numbers
    kinds = {name: "category" for name in frame if name.startswith("diag_") or name.endswith("_id")}
    return {"label": "early", "group": "patient_nbr", "kinds": kinds}, iter([(frame[~test], frame[test])])


def folds(frame: pd.DataFrame, label: str, number: int = 5) -> Iterator[Fold]:
    """Stratified folds, drawn with seed 0."""
    from sklearn.model_selection import StratifiedKFold

    for train, test in StratifiedKFold(number, shuffle=True, random_state=0).split(frame, frame[label]):
        yield frame.iloc[train], frame.iloc[test]


SETS = {"adult": adult, "german": german, "taiwan": taiwan, "telco": telco, "diabetes": diabetes}


def numbers(truth: np.ndarray, chance: np.ndarray, policy: at.Policy) -> dict[str, float]:
    """AUC, accuracy, ECE and the mean cost of a row, acting where it pays."""
    miss, alarm = float(policy.cost_of_miss), float(policy.cost_of_alarm)  # type: ignore[arg-type]
    acts = chance >= alarm / (alarm + miss)
    return {
        "AUC": metrics.roc_auc(truth, chance),
        "average precision": metrics.average_precision(truth, chance),
        "accuracy": metrics.accuracy(truth, chance >= 0.5),
        "ECE-15": metrics.ece(truth, chance),
        "cost a row": metrics.cost_per_thousand(truth, acts, miss, alarm) / 1000,
    }


def others(train: pd.DataFrame, test: pd.DataFrame, choices: dict[str, Any]) -> dict[str, np.ndarray]:
    """Chances of LightGBM and of logistic regression for the same rows."""
    import lightgbm
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    left = [choices["label"], choices.get("group"), *choices.get("ignore", ())]
    columns = [name for name in train if name not in left]
    words = [n for n in columns if not pd.api.types.is_numeric_dtype(train[n]) or n in choices.get("kinds", {})]
    event = choices.get("event", "Yes" if train[choices["label"]].dtype == object else 1)
    event = event if event in set(train[choices["label"]]) else "Yes"
    happened = (train[choices["label"]] == event).to_numpy()
    both = pd.concat([train[columns], test[columns]])
    both = both.assign(**{name: both[name].astype("category") for name in words})
    first, second = both.iloc[: len(train)], both.iloc[len(train) :]
    trees = lightgbm.LGBMClassifier(verbose=-1, n_jobs=2, random_state=0).fit(first, happened)
    plain = [name for name in columns if name not in words]
    one_hot = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="(missing)"),
        OneHotEncoder(handle_unknown="ignore", min_frequency=5),
    )
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encode = make_column_transformer((scaled, plain), (one_hot, words))
    linear = make_pipeline(encode, LogisticRegression(max_iter=2000))
    as_text = {name: lambda frame, name=name: frame[name].astype(str) for name in words}
    linear.fit(train[columns].assign(**as_text), happened)
    return {
        "LightGBM": trees.predict_proba(second)[:, 1],
        "logistic regression": linear.predict_proba(test[columns].assign(**as_text))[:, 1],
    }


def risk(names: list[str], seeds: list[int]) -> None:
    """RiskScorer beside the others; means over folds and seeds."""
    for name in names:
        choices, parts = SETS[name]()
        found: dict[str, list[dict[str, float]]] = {}
        minutes, pairs = [], []
        for train, test in parts:
            fresh = at.RiskScorer(**choices)
            assert fresh.policy is not None
            truth = fresh._truth(fresh.record.check("benchmark", test)[0])
            for seed in seeds:
                began = time.perf_counter()
                app = fresh.clone(seed=seed).fit(train, verbose=0)
                minutes.append((time.perf_counter() - began) / 60)
                chance = app.predict(test.drop(columns=choices["label"]))["probability"].to_numpy()
                found.setdefault("RiskScorer", []).append(numbers(truth, chance, fresh.policy))
            beside = others(train, test, choices)
            for other, theirs in beside.items():
                found.setdefault(other, []).append(numbers(truth, theirs, fresh.policy))
            pairs.append((truth, chance, beside["LightGBM"]))  # of the last seed
        share = app.learned_["share of the network"]
        print(f"\n{name}: fit {np.mean(minutes):.1f} minutes, share of the network at last {share:.1f}")
        table = pd.DataFrame({way: pd.DataFrame(rows).mean() for way, rows in found.items()}).T
        print(table.round(4).to_string(), flush=True)
        every = [np.concatenate(column) for column in zip(*pairs, strict=True)]
        apart = intervals.difference(
            lambda truth, said, policy=fresh.policy: numbers(truth["y"], said["p"], policy),
            {"y": every[0]}, {"p": every[1]}, {"p": every[2]},
        )  # fmt: skip
        for what, one in apart.items():
            print(f"    {what}: {one.value:+.4f} ({one.low:+.4f} to {one.high:+.4f}) over LightGBM, all folds together")


def parity(seeds: list[int], part: str, ways: tuple[str | None, ...] = (None, "thresholds", "penalty")) -> None:
    """Adult: what the two ways of mitigation do to the gap by sex, and what they cost."""
    choices, parts = adult()
    train, test = next(parts)
    if part == "val":  # to make choices by
        train, test = next(folds(train, "income"))
    for seed in seeds:
        for mitigate in ways:
            app = at.RiskScorer(**choices, sensitive=("sex", "race"), mitigate=mitigate, seed=seed).fit(
                train, verbose=0
            )
            report = app.evaluate(test, by=("sex", "race"))
            gap = report.notes["sex: demographic parity difference"]
            print(f"seed {seed}, mitigate={mitigate}: accuracy {report.metrics['accuracy'].value:.4f}, "
                  f"demographic parity difference by sex {gap:.4f}", flush=True)  # fmt: skip


def suspects(seeds: list[int]) -> None:
    """5 % of the labels of three test sets are made wrong; how many of as many most suspect rows are those."""
    for name, (table, label) in labelled("test").items():
        app = at.load(SAVED / name)
        found = []
        for seed in seeds:
            labels, wrong = spoilt(table[label], seed)
            records, _ = app.record.check("benchmark", {**table, label: labels})
            queries, truth = app.make_trials(records)
            inputs = app.prepare(queries, app.state_)
            inputs.pop("problem", None)
            chance = app.stated(truth, inputs, app.respond(inputs, app.call_, app.state_)).of_label()
            found.append(float(wrong[np.argsort(chance, kind="stable")[: wrong.sum()]].mean()))
        print(
            f"{name}: {wrong.sum()} labels made wrong, of as many suspects {np.mean(found):.3f} are those", flush=True
        )


def labelled(part: str) -> dict[str, tuple[dict[str, Any], str]]:
    """The records of a part of three sets, as the recipes of saved models read them, and the name of the label."""
    sys.path.insert(0, str(SAVED / "recipes"))
    import medical_scan_classifier
    import risk_scorer
    import voice_command_recognizer

    people = {name: column.to_numpy() for name, column in risk_scorer.people(part).items()}
    return {
        "risk_scorer": (people, "income"),
        "medical_scan_classifier": (medical_scan_classifier.scans(part), "finding"),
        "voice_command_recognizer": (voice_command_recognizer.clips(DATA.parent, part), "command"),
    }


def spoilt(labels: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which one in twenty is another, and which those are."""
    random = np.random.default_rng(seed)
    labels, wrong = np.array(labels, object), np.zeros(len(labels), bool)
    wrong[random.permutation(len(labels))[: len(labels) // 20]] = True
    words = np.unique(labels.astype(str))
    for row in np.flatnonzero(wrong):
        labels[row] = random.choice(words[words != labels[row]])
    return labels, wrong


def diagnose(seeds: list[int], minutes: float = 2.0) -> None:
    """5 % of the training labels are made wrong; how many of the first hundred suspects of a short fit are those."""
    for name, (table, label) in labelled("train").items():
        known = at.load(SAVED / name)
        for seed in seeds:
            count = len(table[label])
            order = np.random.default_rng(seed).permutation(count)
            train, valid = order[count // 10 :], order[: count // 10]
            labels, wrong = spoilt(np.array(table[label], object)[train], seed)
            given = {column: take(values, train) for column, values in table.items()} | {label: labels}
            held_out = {column: take(values, valid) for column, values in table.items()}
            app = known.clone(seed=seed).fit(given, validation=held_out, minutes=minutes, diagnose=True, verbose=0)
            found = app.learned_["diagnosis"]
            first = [row for row, _ in found["suspects"]]
            print(
                f"{name}: {wrong.sum()} of {len(train):,} training labels made wrong, {found['wrong']:.1%} look so; of "
                f"the first {len(first)} suspects {wrong[first].mean():.2f} are those",
                flush=True,
            )


def grown() -> None:
    """The same of what has no classes: what half of the people or of the text foresee of all, and what all give."""
    sys.path.insert(0, str(Path(__file__).parent))
    import recommend
    import text

    app, (purchases, _) = recommend.load("ml-100k")
    some = np.isin(purchases["user"], np.unique(purchases["user"])[::2])
    kept = {name: column[some] for name, column in purchases.items()}
    whole, last = text.shakespeare()
    held_out = {"text": [last]}
    for one, less, more, valid in (
        (app, kept, purchases, None),
        (
            at.TextGenerator(),
            {"text": [whole[place : place + 2000] for place in range(0, len(whole), 4000)]},
            {"text": [whole]},
            held_out,
        ),
    ):
        small, large = (
            one.clone(epochs=1).fit(part, validation=valid, diagnose=True, verbose=0).learned_["diagnosis"]
            for part in (less, more)
        )
        told = diagnosis.of_curve(small["curve"], small["unit"], small["score"])
        number, score = large["curve"][-1]
        print(f"{one.name}: {number:,} {large['unit']} give {score:.3f}; half of them: {told}", flush=True)


def foresight(seeds: list[int], most: int = 6_000) -> None:
    """Learning curves of half of some training rows, what they foresee of all of them, and what all of them give.

    A quarter of the rows is held out; features are those of the saved models, which did learn from these rows.
    """
    for name, (table, label) in labelled("train").items():
        app = at.load(SAVED / name)
        some = np.random.default_rng(0).permutation(len(table[label]))[:most]
        records, _ = app.record.check("benchmark", {column: take(values, some) for column, values in table.items()})
        seen = app.frozen(Part.of(app, records, app.state_))
        for seed in seeds:
            order = np.random.default_rng(seed).permutation(len(seen.place))
            quarter, rest = order[: len(order) // 4], order[len(order) // 4 :]
            half, whole, held_out = (
                diagnosis.Frozen(seen.features[rows], seen.place[rows], seen.names)
                for rows in (rest[: len(rest) // 2], rest, quarter)
            )
            small, large = (diagnosis.diagnose(part, held_out, seed) for part in (half, whole))
            (rows, accuracy), told = large["curve"][-1], diagnosis.foreseen(small["curve"])
            print(f"{name}: accuracy {accuracy:.3f} of {rows:,} rows; half of them foresaw {say(told)}", flush=True)
            weakest, other = small["weakest"], large["weakest"]
            if weakest["name"] == other["name"]:
                told = diagnosis.foreseen(weakest["curve"])
                print(f"    recall of {other['name']!r} {other['curve'][-1][1]:.3f}; half foresaw {say(told)}")
            print(f"    {diagnosis.wish(other)}", flush=True)


def probe() -> None:
    """What `check` says a fit will take and come to, and what that fit takes and comes to, each in its own process."""
    import subprocess

    for name in ("risk_scorer", "fraud_detector", "medical_scan_classifier", "voice_command_recognizer"):
        subprocess.run([sys.executable, __file__, "probe", "--of", name], check=True)


def probed(name: str) -> None:
    """The same of one application, with the choices of its saved model."""
    tables = labelled("train")
    if name == "fraud_detector":
        import fraud_detector

        payments = fraud_detector.payments()
        table: Any = payments[payments.TX_DATETIME.to_numpy() < fraud_detector.TEST]
    else:
        table = tables[name][0]
    app = at.load(SAVED / name).clone()
    for what, value in app.check(table).notes.items():
        print(f"{name}: {what}: {value}", flush=True)
    before, start, held = resident(), time.time(), [0.0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            held.append(resident())

    threading.Thread(target=watch, daemon=True).start()
    app.fit(table, verbose=0)
    over.set()
    most = max(held) - before
    headline, metric = next(iter(app.report_.metrics.items()))
    print(
        f"{name}: fit took {(time.time() - start) / 60:.1f} minutes and at most {most:.0f} MB more than before; "
        f"{headline} {metric.value:.3f} on the rows held out",
        flush=True,
    )


def say(told: tuple[float, float] | None) -> str:
    """What was foreseen."""
    return "nothing" if told is None else f"{told[1]:.3f}"


def take(values: Any, rows: np.ndarray) -> Any:
    """Rows of a column."""
    return np.array(values)[rows] if not isinstance(values, list) else [values[row] for row in rows]


def coverage(repeats: int = 500, rows: int = 400) -> None:
    """How often the interval of a small sample of Adult's test part holds what the whole part gives."""
    table, _ = labelled("test")["risk_scorer"]
    app = at.load(SAVED / "risk_scorer")
    records, _ = app.record.check("benchmark", table)
    queries, truth = app.make_trials(records)
    inputs = app.prepare(queries, app.state_)
    answers = app.respond(inputs, app.call_, app.state_)
    whole, random = app.score(truth, answers), np.random.default_rng(0)
    held = dict.fromkeys(whole, 0)
    for _ in range(repeats):
        drawn = random.integers(0, len(truth["happened"]), rows)
        some = [{name: column[drawn] for name, column in part.items()} for part in (truth, answers)]
        measured = intervals.bootstrap(app.score, *some, None, 200)
        report = Report(title="a few", metrics=measured)
        certainty.add(report, app.stated(some[0], {name: column[drawn] for name, column in inputs.items()}, some[1]))
        for name, metric in report.metrics.items():
            held[name] += metric.low <= whole[name] <= metric.high
    for name, count in held.items():
        print(
            f"{name}: {count / repeats:.1%} of {repeats} intervals from {rows} rows hold {whole[name]:.4f}", flush=True
        )


def explained(app: at.Template, name: str, many: int = 100) -> Any:
    """Records, or queries, of the test part of a saved model."""
    import fraud_detector  # the recipes are on the path since `labelled`

    from apptemplates.data import splits, synthetic_pictures, synthetic_shop

    random = np.random.default_rng(0)
    if name == "fraud_detector":
        table = fraud_detector.payments()
        app.observe(table[table.TX_DATETIME.to_numpy() < fraud_detector.TEST])
        judged = table[fraud_detector.judged_rows(table, fraud_detector.TEST)]
        return judged.iloc[np.sort(random.permutation(len(judged))[:many])]
    if name == "face_verifier":
        return synthetic_pictures.faces(50, 8, seed=2)
    if name == "recommender":
        earlier, _ = splits.by_time(synthetic_shop.purchases(1000, 200), "time", 0.1)
        latest = pd.DataFrame(earlier).sort_values("time").groupby("user")["item"].agg(lambda items: list(items)[-12:])
        return {"history": latest[latest.map(len) > 2].iloc[:many].tolist()}
    if name == "text_generator":
        text = (DATA.parent / "text" / "tinyshakespeare" / "input.txt").read_text()
        held_out = text[int(0.9 * len(text)) :]
        starts = np.sort(random.integers(0, len(held_out) - 200, many))
        return {"prompt": [held_out[start : start + 200] for start in starts]}
    table, label = labelled("test")[name]
    rows = np.sort(random.permutation(len(table[label]))[:many])
    return {column: take(values, rows) for column, values in table.items()}


def explain() -> None:
    """Of each saved model, by how much its explanations beat random orders, and what shuffled weights leave of them."""
    labelled("test")  # puts the recipes on the path
    for name in at.catalogue()["file"]:
        app = at.load(SAVED / name)
        start = time.time()
        report = app.explain(explained(app, name))
        print(f"{name} ({time.time() - start:.0f} s)")
        for note, value in report.notes.items():
            if "better than random" in note or note == randomised.NOTE:
                print(f"    {note} {value.value:.3f} ({value.low:.3f} to {value.high:.3f})", flush=True)


def timing() -> None:
    """How long `check` and `evaluate` take, TensorFlow being there already."""
    parts = {part: labelled(part) for part in ("train", "test")}
    import fraud_detector

    payments = fraud_detector.payments()
    app = at.load(SAVED / "fraud_detector")
    spent("check", "fraud_detector", 100_000, lambda: app.check(payments.iloc[:100_000]))
    judged = payments[fraud_detector.judged_rows(payments, fraud_detector.TEST)]
    spent("report", "fraud_detector", len(judged), lambda: app.evaluate(judged))
    for name in ("risk_scorer", "medical_scan_classifier", "voice_command_recognizer"):
        app, (train, label), (test, _) = at.load(SAVED / name), parts["train"][name], parts["test"][name]
        spent("check", name, len(train[label]), partial(app.check, train))
        spent("report", name, len(test[label]), partial(app.evaluate, test))
    from faults import faces

    pictures, text = faces(), (DATA.parent / "text" / "tinyshakespeare" / "input.txt").read_text()[-110_000:]
    shop = splits.by_time(synthetic_shop.purchases(1000, 200), "time", 0.1)[1]
    others = {"face_verifier": pictures, "recommender": shop, "text_generator": {"text": [text]}}
    for name, records in others.items():
        app = at.load(SAVED / name)
        spent("check", name, len(next(iter(records.values()))), partial(app.check, records))
        spent("report", name, len(next(iter(records.values()))), partial(app.evaluate, records))


def spent(what: str, name: str, rows: int, call: Any) -> None:
    """Tells how long a call takes."""
    start = time.time()
    call()
    print(f"{what} of {rows:,} records by {name}: {time.time() - start:.1f} s", flush=True)


def main() -> None:
    """Runs what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS)
    parser.add_argument("--only", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--part", default="test", choices=["val", "test"], help="for parity: val to make choices by")
    parser.add_argument("--of", help="for probe: one application")
    given = parser.parse_args()
    if given.of:
        probed(given.of)
        return
    runs = {
        "risk": lambda: risk(given.only, given.seeds),
        "suspects": lambda: suspects(given.seeds),
        "diagnose": lambda: diagnose(given.seeds),
        "curve": lambda: (foresight(given.seeds), grown()),
        "probe": probe,
        "coverage": coverage,
        "explain": explain,
        "timing": timing,
        "parity": lambda: parity(given.seeds, given.part),
    }
    for part in given.parts:
        runs[part]()


if __name__ == "__main__":
    main()
