"""What a saved model costs where it is put to work: start-up, memory and answers without TensorFlow.

    python tests/benchmarks/deploy.py [start forms serve fuzz] [--only fraud_detector ...] [--minutes 10]

`start`: of each saved model, in a process of its own: seconds from the start of the process to its first answer,
memory at most, the median of one answer, what the graph takes of it, and what LiteRT's signature runner takes on the
same inputs in a loop of its own. For comparison, the same with the template itself, which loads TensorFlow. `forms`
(needs APPTEMPLATES_DATA): each saved model in each form that it can be exported to, how far that is from the template,
what it costs of the headline on held-out records (at most 10,000, of text 12,000 characters; of the test parts, or
made up where the model learned from made-up ones), how large and how fast it is, and the seconds from the start of a
process to the first answer of the `reader.py` that lies beside it. Full int8 is calibrated by training records.
`serve` (needs wrk): answers a second over HTTP on loopback, minutes of mixed valid, malformed, huge and slow requests,
and a kill while observations come in. `fuzz`: saved folders with damaged files, 10,000 of them opened without
TensorFlow, and 200 whose manifest was made to fit opened with it.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
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
    given, spent, parts, call = [], [], [], app._call

    def timed(inputs):
        start = time.perf_counter()
        answer = call(inputs)
        spent.append(time.perf_counter() - start)
        given.append(inputs)
        return answer

    def asked():
        spent.clear(), given.clear()
        app.predict_one(query)
        parts.append(sum(spent) * 1e3)

    from ai_edge_litert.interpreter import Interpreter
    from apptemplates.deploy.fast import plain_names

    app._call = timed
    asked()
    interpreter = Interpreter(str(Path(sys.argv[1]) / "one.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    bare = interpreter.get_signature_runner()
    names = {own: plain for own, plain in plain_names(given[0]).items() if plain in bare.get_input_details()}
    kinds = {own: kind for own, _, kind in call._inputs}
    inputs = [{plain: one[own].astype(kinds[own]) for own, plain in names.items()} for one in given]
    found["calls"] = len(given)
    parts, bares, began = [], [], time.perf_counter()
    while time.perf_counter() - began < 4:  # in turns, so that a slower minute of the machine is one for both
        p50(asked, 25, 0.5)
        bares.append(p50(lambda: [bare(**one) for one in inputs], 25, 0.5))
    found |= {"bare": sorted(bares)[len(bares) // 2], "graph": sorted(parts)[len(parts) // 2]}
status = Path("/proc/self/status")
found["megabytes"] = int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]) / 1024 if status.exists() else None
print(json.dumps(found))
"""
READER = """
import json, pickle, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from reader import Reader
Reader().predict_one(pickle.loads(Path(sys.argv[2]).read_bytes()))
print(json.dumps({"first": time.time()}))
"""


def measured(name: str, code: str, folder: Path, *more: str) -> dict[str, float]:
    """What a fresh process takes and needs that asks what is in a folder."""
    import pickle

    with tempfile.TemporaryDirectory() as place:
        query = Path(place) / "query"
        query.write_bytes(pickle.dumps(QUERIES[name]))
        began = time.time()
        words = [sys.executable, "-c", code, str(folder), str(query), *more]
        # an installed package has its bytecode, a checkout keeps it only where nothing forbids it
        allowed = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=allowed)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found | {"start": found["first"] - began}


def begun(name: str, folder: Path) -> float:
    """Seconds from the start of a process to the first answer of an exported model, the median of three."""
    return float(np.median([measured(name, READER, folder)["start"] for _ in range(3)]))


def held_out(app: at.Template, name: str) -> Any:
    """Records with their truth, not learned from; the app is told what was before them."""
    import trust

    from apptemplates.data import splits, synthetic_shop

    if name == "recommender":
        earlier, later = splits.by_time(synthetic_shop.purchases(1000, 200), "time", 0.1)
        app.observe(earlier)
        return later
    if name == "text_generator":
        text = (trust.DATA.parent / "text" / "tinyshakespeare" / "input.txt").read_text()
        return {"text": np.array([text[-12_000:]], object)}
    trust.labelled("test")  # puts the recipes on the path
    return trust.explained(app, name, 10_000)


def learned(name: str) -> Any:
    """Records that a model learned from, or made as those were."""
    import trust

    from apptemplates.data import splits, synthetic_shop

    known = trust.labelled("train")  # puts the recipes on the path
    if name in known:
        return known[name][0]
    if name == "fraud_detector":
        import fraud_detector

        table = fraud_detector.payments()
        return table[fraud_detector.between(table, fraud_detector.TEST - 2 * fraud_detector.WEEK, 7)]
    if name == "face_verifier":
        return synthetic_pictures.faces(50, 8, seed=1)
    if name == "recommender":
        return splits.by_time(synthetic_shop.purchases(1000, 200), "time", 0.1)[0]
    text = (trust.DATA.parent / "text" / "tinyshakespeare" / "input.txt").read_text()
    return {"text": np.array([text[:12_000]], object)}


def forms(names: list[str]) -> None:
    """The table of forms."""
    print("| saved model | form | largest difference | headline | change (95 % interval) | MB | p50 | start | float |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in names:
        app, training, floats = at.load(SAVED / name), learned(name), 0.0
        records = held_out(app, name)
        for form, quantize in (("saved_model", None), ("onnx", None), ("litert", None), *INT):
            what = f"{form} {quantize or 'float'}"
            with tempfile.TemporaryDirectory() as place:
                try:
                    given = training if quantize == "full_int8" else None
                    folder = app.export(Path(place) / "made", form, quantize, np.inf, records, given)
                except at.ArchiveError as error:
                    if quantize is not None or "held-out records do not come" not in str(error):
                        print(
                            f"| `{name}` | {what} | refused: {str(error).split(': ', 1)[1]} | | | | | | |", flush=True
                        )
                        continue
                    folder = app.export(Path(place) / "made", form)
                told, first = json.loads((folder / "receipt.json").read_text()), begun(name, folder)
            floats = told["megabytes"] if (form, quantize) == ("litert", None) else floats
            head = told.get("headline")
            moved = "{:+.4f} ({:+.4f} to {:+.4f})".format(*head["change"]) if head else "not measured"
            said = f"{head['name']} {head['here']:.4f}" if head else ""
            share = f"{floats / told['megabytes']:.1f} x smaller" if quantize else ""
            far = max(told["largest difference"].values(), default=0.0)
            print(
                f"| `{name}` | {what} | {far:.1e} | {said} | {moved} | {told['megabytes']:.2f} | "
                f"{told['p50_ms']:.3f} ms | {first:.2f} s | {share} |",
                flush=True,
            )


def start() -> None:
    """The table of start-up, memory and answers."""
    print("| saved model | first answer | memory | one answer (p50) | its graph | bare LiteRT | with TensorFlow |")
    print("|---|---|---|---|---|---|---|")
    for name in QUERIES:
        # of three processes the one that was there second, as one is often held up by what else the machine does
        runs = [measured(name, CHILD, SAVED / name, "runtime") for _ in range(3)]
        light, heavy = sorted(runs, key=lambda run: run["start"])[1], measured(name, CHILD, SAVED / name, "template")
        bare = f"{light['bare']:.3f} ms" + (f" ({light['calls']} steps)" if light["calls"] > 1 else "")
        graph = f"{light['graph']:.3f} ms, {light['graph'] / light['bare']:.2f} x bare"
        print(
            f"| `{name}` | {light['start']:.2f} s | {light['megabytes']:.0f} MB | {light['p50']:.2f} ms | {graph} | "
            f"{bare} | {heavy['start']:.1f} s, {heavy['megabytes']:.0f} MB |",
            flush=True,
        )


ONE = {"TX_DATETIME": "2018-08-15 12:00", "TX_AMOUNT": 31.0, "CUSTOMER_ID": "c1", "TERMINAL_ID": "t1"}


def served(journal: Path, port: int = 8765) -> subprocess.Popen:
    """A server of the fraud detector that answers already."""
    words = [sys.executable, "-m", "apptemplates", "serve", str(SAVED / "fraud_detector"), str(SAVED / "face_verifier")]
    process = subprocess.Popen([*words, "--port", str(port), "--journal", str(journal)], stderr=subprocess.DEVNULL)
    began = time.time()
    while time.time() - began < 60:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
            return process
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


def post(path: str, content: bytes, port: int = 8765) -> tuple[int, Any]:
    """Status and answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", content, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as told:
            return told.status, json.loads(told.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")
    except (urllib.error.URLError, ConnectionError):  # hung up on while still sending
        return 0, None


def pressed(body: bytes, connections: int, seconds: int = 10) -> str:
    """What wrk counts: requests a second, and the median and the slowest one in a hundred."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            f"wrk.method='POST'; wrk.body=[==[{body.decode()}]==]; wrk.headers['Content-Type']='application/json'"
        )
        script.flush()
        words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name]
        done = subprocess.run(
            [*words, "http://127.0.0.1:8765/fraud_detector/predict"], capture_output=True, text=True, check=True
        )
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)[1])  # type: ignore[index]
    half, slow = (re.search(rf"\s{p}%\s+(\S+)", done.stdout)[1] for p in (50, 99))  # type: ignore[index]
    wrong = re.search(r"Non-2xx.*", done.stdout)
    return f"{rate:,.0f} requests a second, p50 {half}, p99 {slow}{'; ' + wrong[0] if wrong else ''}"


def serve(minutes: float) -> None:
    """How a server does under load, under nonsense, and when it is killed."""
    many = [{**ONE, "TX_AMOUNT": 31.0 + i, "CUSTOMER_ID": f"c{i}", "TERMINAL_ID": f"t{i}"} for i in range(64)]
    with tempfile.TemporaryDirectory() as place:
        process = served(Path(place))
        try:
            print(f"one payment a request, 4 connections: {pressed(json.dumps(ONE).encode(), 4)}", flush=True)
            print(f"64 payments a request, 2 connections: {pressed(json.dumps(many).encode(), 2)}", flush=True)
            mixed(process, minutes)
            acknowledged, began = 0, time.time()
            while time.time() - began < 3:
                record = json.dumps({**ONE, "TX_AMOUNT": 1.0 + acknowledged}).encode()
                acknowledged += post("fraud_detector/observe", record)[0] == 200
            process.kill()  # while observations come in: what was acknowledged must be there again
            process.wait()
            process = served(Path(place))
            kept = (Path(place) / "fraud_detector.jsonl").read_text().splitlines()[1:]
            amounts = {json.loads(line)["TX_AMOUNT"] for line in kept}
            lost = [n for n in range(acknowledged) if 1.0 + n not in amounts]
            print(f"kill -9 after {acknowledged:,} acknowledged observations: {len(lost)} lost", flush=True)
            process.terminate()
            print(f"stopped with code {process.wait(timeout=30)}", flush=True)
        finally:
            process.kill()


def mixed(process: subprocess.Popen, minutes: float) -> None:
    """Valid, malformed, huge and slow requests for some minutes."""
    random = np.random.default_rng(0)
    right = post("fraud_detector/predict", json.dumps(ONE).encode())[1]
    counts: dict[str, int] = {}
    wrong, began, memory = 0, time.time(), []
    while time.time() - began < 60 * minutes:
        kind = random.choice(["valid", "many", "broken", "empty", "huge", "odd", "slow", "lost"])
        if kind == "valid":
            status, told = post("fraud_detector/predict", json.dumps(ONE).encode())
            wrong += status != 200 or told != right
        elif kind == "many":
            status, told = post("fraud_detector/predict", json.dumps([ONE, {}, {**ONE, "TX_AMOUNT": None}]).encode())
            wrong += status != 200 or told[0] != right or not told[1]["problem"]
        elif kind == "broken":
            status, _ = post("fraud_detector/predict", random.bytes(200))
            wrong += status != 400
        elif kind == "empty":
            status, _ = post("fraud_detector/predict", b"")
            wrong += status != 400
        elif kind == "huge":
            status, _ = post("fraud_detector/predict", b" " * 10_000_001)
            wrong += status not in (413, 0)
        elif kind == "odd":
            status, _ = post(
                "fraud_detector/predict", json.dumps({**ONE, "TX_AMOUNT": "x" * 10_000, "more": [1]}).encode()
            )
            wrong += status != 422
        else:  # a request that comes in pieces, or is never finished
            with socket.create_connection(("127.0.0.1", 8765)) as line:
                body = json.dumps(ONE).encode()
                head = f"POST /fraud_detector/predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                head += "Connection: close\r\n\r\n"
                line.sendall(head.encode() + body[:10])
                time.sleep(0.05)
                status = 0
                if kind == "slow":
                    line.sendall(body[10:])
                    status = int(line.recv(100).split()[1])
                    wrong += status != 200
        counts[f"{kind} {status}"] = counts.get(f"{kind} {status}", 0) + 1
        if len(memory) < (time.time() - began) / 10:
            memory.append(int(re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) // 1024)  # type: ignore[index]
    number = sum(counts.values())
    bad = sum(count for name, count in counts.items() if name.split()[1].startswith("5"))
    print(
        f"{number:,} mixed requests in {minutes:g} minutes: {wrong} wrong, {bad} with 5xx; memory {memory[0]}, "
        f"then {min(memory[1:] or memory)} to {max(memory[1:] or memory)} MB; {counts}",
        flush=True,
    )


FUZZ = """
import hashlib, json, random, re, resource, shutil, sys, time
from pathlib import Path
way, saved, place, number = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
if way == "runtime":
    from apptemplates.deploy import runtime
    load = runtime.load
else:
    import apptemplates, keras
    load = apptemplates.load
from apptemplates.deploy.folder import ArchiveError
empty = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
random.seed(0)
folders = [shutil.copytree(one.parent, place / one.parent.name) for one in sorted(saved.glob("*/manifest.json"))]
load(folders[0])
opened = refused = 0
slowest, others = 0.0, {}
for turn in range(number):
    folder = random.choice(folders)
    files = [one for one in folder.iterdir() if way == "runtime" or one.name != "manifest.json"]
    file = random.choice(files)
    kept = file.read_bytes()
    content = bytearray(kept)
    kind = random.choice(["flip", "cut", "more", "zero", "shuffle", "empty", "digits"])
    spot = random.randrange(len(content))
    if kind == "flip":
        for _ in range(random.choice([1, 8, 64])):
            content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    elif kind == "cut":
        del content[spot:]
    elif kind == "more":
        content[spot:spot] = random.randbytes(random.choice([1, 100, 10_000]))
    elif kind == "zero":
        content[spot : spot + 1000] = bytes(len(content[spot : spot + 1000]))
    elif kind == "shuffle":
        part = list(content[spot : spot + 200])
        random.shuffle(part)
        content[spot : spot + 200] = bytes(part)
    elif kind == "empty":
        content = bytearray()
    else:
        content = bytearray(re.sub(rb"[0-9]", lambda m: b"%d" % random.randrange(10), bytes(content), count=20))
    file.write_bytes(content)
    manifest = (folder / "manifest.json").read_bytes()
    if way != "runtime":
        facts = json.loads(manifest)
        facts["files"][file.name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        (folder / "manifest.json").write_text(json.dumps(facts))
    began = time.time()
    try:
        load(folder)
        opened += 1
    except ArchiveError:
        refused += 1
    except Exception as error:
        others[f"{type(error).__name__} by {kind} of {file.name}: {str(error)[:80]}"] = turn
    slowest = max(slowest, time.time() - began)
    file.write_bytes(kept)
    if way != "runtime":
        (folder / "manifest.json").write_bytes(manifest)
most = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - empty) // 1024
print(f"{way}: {number:,} mutations, {refused:,} refused, {opened:,} opened, {len(others)} otherwise")
print(f"    slowest {slowest:.1f} s; {most} MB more than an empty import")
for name in others:
    print("    " + name)
"""


def fuzz() -> None:
    """Damaged folders: each is refused or opens, soon and in bounded memory."""
    for way, number in (("runtime", 10_000), ("keras", 200)):
        with tempfile.TemporaryDirectory() as place:
            words = [sys.executable, "-c", FUZZ, way, str(SAVED), place, str(number)]
            done = subprocess.run(words, capture_output=True, text=True)
        print(done.stdout.strip() or f"{way}: ended with code {done.returncode}: {done.stderr[-500:]}", flush=True)


def main() -> None:
    """Runs what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["start", "forms", "serve", "fuzz"])
    parser.add_argument("--only", nargs="+", default=list(QUERIES), choices=list(QUERIES))
    parser.add_argument("--minutes", type=float, default=10.0, help="of mixed requests, for serve")
    given = parser.parse_args()
    for part in given.parts:
        {"start": start, "forms": lambda: forms(given.only), "serve": lambda: serve(given.minutes), "fuzz": fuzz}[
            part
        ]()


if __name__ == "__main__":
    main()
