import time

import numpy as np
import pytest

from apptemplates.evaluation import cost


def test_latency_of_a_known_wait():
    asked = []

    def answer_one(query):
        asked.append(query)
        time.sleep(0.02 if query == "slow" else 0.001)

    result = cost.latency(answer_one, ["quick"] * 30 + ["slow"], repeats=62)
    assert 1 <= result["p50_ms"] < 10 and result["p99_ms"] >= 20
    assert asked.count("slow") == 2


def test_slow_answers_are_timed_for_some_seconds_and_a_few_of_them_always():
    asked = []
    began = time.perf_counter()
    result = cost.latency(lambda query: asked.append(time.sleep(0.01)), ["one"], repeats=300, seconds=0.05)
    assert cost.FEWEST < len(asked) < 30 and time.perf_counter() - began < 2
    assert result["p50_ms"] >= 10


def test_throughput_of_a_known_wait():
    assert 1000 < cost.throughput(lambda: time.sleep(0.01), 100) <= 10_000


@pytest.mark.parametrize(("warm", "asked"), [(False, 2), (True, 1)])
def test_what_is_warm_is_not_asked_for_nothing(warm, asked):
    calls = []
    assert cost.throughput(lambda: calls.append(time.sleep(0.001)), 5, repeats=1, warm=warm) > 0
    assert len(calls) == asked


def test_latency_without_queries_is_refused():
    with pytest.raises(ValueError, match="at least one query"):
        cost.latency(len, [])


def test_size_counts_weights_and_their_bytes():
    class Weight:
        def __init__(self, shape, dtype):
            self.shape, self.dtype = shape, dtype

    class Model:
        weights = (Weight((10, 3), "float32"), Weight((), "int64"), Weight((2,), "bfloat16"))

        def count_params(self):
            return sum(int(np.prod(weight.shape)) for weight in self.weights)

    assert cost.size(Model()) == {"parameters": 33, "megabytes": (120 + 8 + 4) / 1e6}
