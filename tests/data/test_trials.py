import numpy as np
import pytest

from apptemplates.data import trials
from apptemplates.data.schema import DataError


def test_queries_do_not_hold_their_truth():
    table = {"amount": np.zeros(2), "fraud": np.ones(2), "unnamed": np.ones(2)}
    queries, truth = trials.apart(["amount", "fraud", "absent"], table, ["fraud"])
    assert list(queries) == ["amount"]
    assert list(truth) == ["fraud"]


def test_a_missing_truth_is_refused():
    with pytest.raises(
        DataError, match="column 'fraud' is missing, so the answers can not be judged; there are 'amount'"
    ):
        trials.apart(["amount"], {"amount": np.zeros(2)}, ["fraud"])
