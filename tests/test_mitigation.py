"""Bringing groups together: who is asked for the group, what the loss is told, and whose threshold counts."""

import numpy as np
import pytest

from apptemplates import mitigation
from apptemplates.contract import Part
from apptemplates.data.schema import Field, Schema
from apptemplates.inference.columns import GROUP, MISSING
from apptemplates.layers.decision import Weighed
from apptemplates.losses import EvenChances

PLACES = np.array(["north", "", "south", "north"], object)
TRUTH = np.array([1.0, 0, 0, 1])


def test_a_query_has_only_the_group_that_decides():
    record = Schema.of({"amount": Field("paid", role="amount")} | mitigation.audited(("sex", "age")))
    assert list(mitigation.asked(record, None)) == ["amount"]
    assert list(mitigation.asked(record, "age")) == ["amount", "age"]
    assert mitigation.asked(record, None)["amount"].role == "" and record["amount"].role == "amount"


def test_the_loss_of_a_penalty_is_told_the_groups():
    part, learned = Part({"place": PLACES}, {}, dict), {}
    plain = mitigation.targets(TRUTH, np.zeros((4, 2)), part, 3, None, learned)
    assert plain.tolist() == np.repeat(TRUTH[:, None], 3, axis=1).tolist() and learned == {}
    told = mitigation.targets(TRUTH, np.zeros((4, 2)), part, 3, "place", learned)
    assert told[:, :3].tolist() == plain.tolist()
    assert told[:, 3:].tolist() == [[1, 0], [0, 0], [0, 1], [1, 0]]
    assert learned == {"groups": ["north", "south"], "variance of the label": 0.25}
    few = mitigation.penalised(plain[:1], TRUTH[:1], PLACES[2:3], learned)  # later rows are told as the first ones
    assert few[:, 3:].tolist() == [[0, 1]] and learned["variance of the label"] == 0.25
    loss = mitigation.loss_of("penalty", 3, 0.5, learned)
    assert isinstance(loss, EvenChances) and loss.weight == pytest.approx(mitigation.PENALTY * 0.5 / 0.25)
    assert not isinstance(mitigation.loss_of("thresholds", 3, 0.5, learned), EvenChances)
    assert mitigation.penalty_column("penalty", ("sex", "age")) == "sex"
    assert mitigation.penalty_column("thresholds", ("sex",)) is None


def test_thresholds_by_group_know_whose_they_are():
    inputs = {GROUP: np.where(PLACES == "", MISSING, PLACES)}
    own = mitigation.Grouped.of(inputs)
    assert own.learned == {"threshold groups": ["north", "south"]} and own.groups == 3
    assert list(own.entries) == [GROUP] and own.flags["group"].shape == (None, 3)
    assert own.known["record group"].tolist() == ["north", MISSING, "south", "north"]
    layer = Weighed(own.groups)
    layer.build()
    layer.of_group.assign(mitigation.in_order(["north", "south"], {"south": -0.5, "north": 2.0}))
    assert mitigation.offsets(inputs, ["north", "south"], layer).tolist() == [2.0, 0.0, -0.5, 2.0]


def test_where_all_share_one_threshold_nothing_is_added():
    assert mitigation.Grouped.of({"amount": TRUTH}) == ({}, {}, 0, {}, {})
    assert mitigation.offsets({"amount": TRUTH}, (), Weighed()) == 0.0


def test_thresholds_can_not_be_set_anew_without_the_groups():
    mitigation.refuse_change("App", "thresholds", {"record group": PLACES})
    mitigation.refuse_change("App", "penalty", {})
    with pytest.raises(ValueError, match="App: this folder was shared without the groups of its records"):
        mitigation.refuse_change("App", "thresholds", {})
