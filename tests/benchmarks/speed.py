"""How quick FraudDetector is on real payments: features, predict, predict_one against bare LiteRT, memory.

    APPTEMPLATES_DATA=... python tests/benchmarks/speed.py

Uses the saved model, observes all payments until 2018-08-07 and asks about the week after; every ratio is of one run.
"""

import resource
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from fraud import ENTITIES, WINDOWS, between, payments

import apptemplates as at
from apptemplates.evaluation import cost
from apptemplates.inference.history import History

FOLDER = Path(__file__).parents[2] / "saved_models" / "fraud_detector"


def main() -> None:
    """Measures and prints."""
    table = payments()
    times = table.TX_DATETIME.to_numpy("datetime64[us]").astype("int64")
    keys = [table[name].astype(str).to_numpy(object) for name in ENTITIES]
    began = time.perf_counter()
    history = History(ENTITIES, WINDOWS, "7D", labelled=True)
    history.features(times, table.TX_AMOUNT.to_numpy(float), table.TX_FRAUD.to_numpy("int8"), keys)
    print(f"features of {len(table):,} rows: {time.perf_counter() - began:.2f} s")

    week = between(table, "2018-08-08", 7)
    app = at.load(FOLDER).observe(table[(np.datetime64("2018-08-08") > table.TX_DATETIME).to_numpy()])
    asked = table[week].drop(columns="TX_FRAUD")
    app.predict(asked.head(100))
    began = time.perf_counter()
    app.predict(asked)
    print(f"predict of {len(asked):,} rows: {time.perf_counter() - began:.2f} s")

    queries = asked.head(5000).to_dict("records")
    whole = cost.latency(app.predict_one, queries[:500], repeats=3000)
    prepared = [one_row(app, query) for query in queries[:200]]
    graph = cost.latency(app.fast_, prepared, repeats=3000)
    runner = Interpreter(model_content=app.fast_.content, num_threads=1).get_signature_runner()
    plain = [{name: np.asarray(column, column.dtype) for name, column in inputs.items()} for inputs in prepared]
    bare = cost.latency(lambda inputs: runner(**inputs), plain, repeats=3000)
    print(f"predict_one p50 {whole['p50_ms']:.3f} ms, p99 {whole['p99_ms']:.3f} ms ({app.fast_.form})")
    print(f"the graph's share p50 {graph['p50_ms']:.3f} ms, {graph['p50_ms'] / bare['p50_ms']:.2f} x bare LiteRT")

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for query in queries:
        app.predict_one(query)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"5,000 predict_one calls raise the peak of memory by {grown:.1f} MB")


def one_row(app: at.FraudDetector, query: dict) -> dict[str, np.ndarray]:
    """The graph's inputs of one query."""
    records, _ = app.query.check("benchmark", {name: [value] for name, value in query.items()})
    return app.prepare(records, app.state_)


if __name__ == "__main__":
    main()
