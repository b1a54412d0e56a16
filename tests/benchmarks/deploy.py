"""What a saved model costs where it is put to work: start-up, memory and answers without TensorFlow.

    python tests/benchmarks/deploy.py [start forms] [--only fraud_detector ...]

`start`: of each saved model, in a process of its own: seconds from the start of the process to its first answer, memory
at most, the median of one answer, and that of the bare LiteRT graph on the same inputs, in the same process. For
comparison, the same with the template itself, which loads TensorFlow. `forms` (needs APPTEMPLATES_DATA): each saved
model in each form that it can be exported to, how far that is from the template, what it costs of the headline on
held-out records (at most 1,000; of the test parts, or made up where the model learned from made-up ones), how large and
how fast it is.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import apptemplates as at
from apptemplates.data import synthetic_pictures

SAVED = Path(__file__).parents[2] / "saved_models"
INT = (("litert", "float16"), ("litert", "int8"), ("litert", "full_int8"))
PICTURES = synthetic_pictures.faces(2, 2, size=48)["image"]
SOUND = (np.sin(np.arange(16_000) / 9) * 0.3).astype("float32")
PERSON = {
    "age": 39, "workclass": "Private", "fnlwgt": 190_000, "education": "Bachelors", "education-num": 13,
    "marital-status": "Married-civ-spouse", "occupation": "Exec-managerial", "relationship": "Husband",
    "capital-gain": 0, "capital-loss": 0, "hours-per-week": 45, "native-country": "United-States",
}  # fmt: skip
PAYMENT = {"TX_DATETIME": "2018-08-15 12:00", "TX_AMOUNT": 31.0, "CUSTOMER_ID": "c1", "TERMINAL_ID": "t1"}
QUERIES = {
    "fraud_detector": PAYMENT,
    "face_verifier": {"first": PICTURES[0], "second": PICTURES[1]},
    "medical_scan_classifier": {"image": PICTURES[0]},
    "recommender": {"history": ["item-0010", "item-0011"], "k": 5},
    "risk_scorer": PERSON,
    "text_generator": {"prompt": "ROMEO:", "length": 20, "seed": 3},
    "voice_command_recognizer": {"sound": SOUND},
}
CHILD = """
import json, pickle, re, sys, time
from pathlib import Path
query = pickle.loads(Path(sys.argv[2]).read_bytes())
if sys.argv[3] == "runtime":
    from apptemplates.deploy import runtime
    app = runtime.load(sys.argv[1])
else:
    import apptemplates
    app = apptemplates.load(sys.argv[1])
app.predict_one(query)
first = time.time()


def p50(call, least=200, seconds=3.0):
    taken, began = [], time.perf_counter()
    while len(taken) < least and time.perf_counter() - began < seconds:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[len(taken) // 2] * 1e3


found = {"first": first, "p50": p50(lambda: app.predict_one(query))}
if sys.argv[3] == "runtime":
    given, call = [], app._call
    app._call = lambda inputs: given.append(inputs) or call(inputs)
    app.predict_one(query)
    app._call = call
    inputs = {plain: given[0][name].astype(kind) for name, plain, kind in call._inputs}
    found |= {"bare": p50(lambda: call._run(**inputs)), "calls": len(given)}
status = Path("/proc/self/status")
found["megabytes"] = int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]) / 1024 if status.exists() else None
print(json.dumps(found))
"""


def measured(name: str, way: str) -> dict[str, float]:
    """What a fresh process takes and needs."""
    import pickle

    with tempfile.TemporaryDirectory() as place:
        query = Path(place) / "query"
        query.write_bytes(pickle.dumps(QUERIES[name]))
        began = time.time()
        words = [sys.executable, "-c", CHILD, str(SAVED / name), str(query), way]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found | {"start": found["first"] - began}


def held_out(name: str) -> Any:
    """Records with their truth, not learned from."""
    import trust

    from apptemplates.data import splits, synthetic_shop

    if name == "recommender":
        return splits.by_time(synthetic_shop.purchases(1000, 200), "time", 0.1)[1]
    if name == "text_generator":
        text = (trust.DATA.parent / "text" / "tinyshakespeare" / "input.txt").read_text()
        return {"text": np.array([text[-60_000:]], object)}
    trust.labelled("test")  # puts the recipes on the path
    return trust.explained(at.load(SAVED / name), name, 1_000)


def forms(names: list[str]) -> None:
    """The table of forms."""
    print("| saved model | form | largest difference | headline | change (95 % interval) | MB | p50 | size of float |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        app, records, floats = at.load(SAVED / name), held_out(name), 0.0
        for form, quantize in (("saved_model", None), ("onnx", None), ("litert", None), *INT):
            what = f"{form} {quantize or 'float'}"
            with tempfile.TemporaryDirectory() as place:
                try:
                    folder = app.export(Path(place) / "made", form, quantize, np.inf, records)
                except at.ArchiveError as error:
                    if quantize is not None or "held-out records do not come" not in str(error):
                        print(f"| `{name}` | {what} | refused: {str(error).split(': ', 1)[1]} | | | | | |", flush=True)
                        continue
                    folder = app.export(Path(place) / "made", form)
                told = json.loads((folder / "receipt.json").read_text())
            floats = told["megabytes"] if (form, quantize) == ("litert", None) else floats
            head = told.get("headline")
            moved = "{:+.4f} ({:+.4f} to {:+.4f})".format(*head["change"]) if head else "not measured"
            said = f"{head['name']} {head['here']:.4f}" if head else ""
            share = f"{floats / told['megabytes']:.1f} x smaller" if quantize else ""
            far = max(told["largest difference"].values(), default=0.0)
            print(
                f"| `{name}` | {what} | {far:.1e} | {said} | {moved} | {told['megabytes']:.2f} | "
                f"{told['p50_ms']:.3f} ms | {share} |",
                flush=True,
            )


def start() -> None:
    """The table of start-up, memory and answers."""
    print("| saved model | first answer | memory | one answer (p50) | bare LiteRT | with TensorFlow |")
    print("|---|---|---|---|---|---|")
    for name in QUERIES:
        light, heavy = measured(name, "runtime"), measured(name, "template")
        bare = f"{light['calls'] * light['bare']:.2f} ms" + (f" ({light['calls']} steps)" if light["calls"] > 1 else "")
        print(
            f"| `{name}` | {light['start']:.2f} s | {light['megabytes']:.0f} MB | {light['p50']:.2f} ms | {bare} | "
            f"{heavy['start']:.1f} s, {heavy['megabytes']:.0f} MB |",
            flush=True,
        )


def main() -> None:
    """Runs what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["start", "forms"])
    parser.add_argument("--only", nargs="+", default=list(QUERIES), choices=list(QUERIES))
    given = parser.parse_args()
    for part in given.parts:
        {"start": start, "forms": lambda: forms(given.only)}[part]()


if __name__ == "__main__":
    main()
