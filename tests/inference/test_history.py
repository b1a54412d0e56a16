"""What the past says, against the plainest possible reading of each fact, and one by one against all at once."""

import math
import time as clock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apptemplates.inference import history as module
from apptemplates.inference.facts import DAY, UNKNOWN
from apptemplates.inference.history import History

WINDOWS = ("1D", "7D", "30D")
HOUR = DAY // 24


def payments(n, entities=(40, 25), days=60, seed=0, frauds=0.1, unknown=0.1, step=HOUR):
    """Columns of random payments in the order of time, with ties."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, days * DAY // step, n) * step)
    amount = np.round(rng.lognormal(3, 1.2, n), 2)
    label = np.where(rng.random(n) < unknown, UNKNOWN, rng.random(n) < frauds).astype("int8")
    return time, amount, label, [names(rng.integers(0, number, n)) for number in entities]


def names(numbers):
    return np.array([f"entity {number}" for number in numbers], object)


def rows(columns, index):
    time, amount, label, keys = columns
    return time[index], amount[index], label[index], [key[index] for key in keys]


def told(past, moment, amount, spans, delay):
    """The facts of one entity as their names say, from its earlier payments [(time, amount, label)] in order."""
    longest, facts = spans[-1], []

    def usual(inside):
        return math.fsum(paid for _, paid, _ in inside) / len(inside)

    for window in spans:
        inside = [p for p in past if p[0] > moment - window]
        facts += [len(inside) + 1, (math.fsum(p[1] for p in inside) + amount) / (len(inside) + 1)]
    inside = [p for p in past if p[0] > moment - longest]
    good = [p for p in inside if not (p[2] == 1 and p[0] <= moment - delay)]
    mean = usual(good) if good else 0.0
    variance = math.fsum((paid - mean) ** 2 for _, paid, _ in good) / len(good) if good else 0.0
    facts += [mean, math.sqrt(variance), min(amount / (mean + 1e-9), 100) if good else 1]
    deviations = (amount - mean) / math.sqrt(variance + 0.01 * mean**2 + 1e-9)
    facts.append(max(-100, min(deviations, 100)) if len(good) > 1 else 0)
    for window in spans[:-1]:
        some = [p for p in past if p[0] > moment - window]
        facts.append(min(usual(some) / (mean + 1e-9), 100) if some and good else 1)
    facts.append(min(moment - past[-1][0] if past else longest, longest) / DAY)

    known = [p for p in past if p[0] <= moment - delay]
    for window in spans:
        judged = [label for time, _, label in known if time > moment - delay - window and label != UNKNOWN]
        facts += [len(judged), sum(judged) / max(len(judged), 1)]
    recent = [p for p in known if p[0] > moment - delay - longest]
    labels = [label for _, _, label in recent if label != UNKNOWN]
    frauds = [p for p in recent if p[2] == 1]
    began = None
    for p in recent:
        began = p if p[2] == 1 and began is None else None if p[2] == 0 else began
        if p[2] == 1:
            began_of_last = began
    goods = [p for p in recent if p[2] == 0]
    first, latest, began_last = (frauds[0], frauds[-1], began_of_last) if frauds else (None, None, None)
    for found in (latest, goods[-1] if goods else None, first, began_last):
        facts.append((moment - found[0] if found else longest + delay) / DAY)
    for kind in (0, 1):
        run = 0
        for label in labels:
            run = run + 1 if label == kind else 0
        facts.append(run)
    for last in (3, 10):
        some = [label for _, _, label in recent[-last:] if label != UNKNOWN]
        facts.append(sum(some) / max(len(some), 1))
    return facts


def plain_features(stored, asked, spans, delay):
    """Row by row and pair by pair: (n, entities x facts)."""
    both = [(*row, -1, i) for i, row in enumerate(as_rows(stored))] + [
        (*row, 0, i) for i, row in enumerate(as_rows(asked))
    ]
    found = []
    for i, (moment, amount, _, keys) in enumerate(as_rows(asked)):
        facts = []
        for place, key in enumerate(keys):
            before = [p for p in both if p[3][place] == key and (p[0], *p[4:]) < (moment, 0, i)]
            past = [p[:3] for p in sorted(before, key=lambda p: (p[0], *p[4:]))]
            facts += told(past, moment, amount, spans, delay)
        found.append(facts)
    return np.array(found, float)


def as_rows(columns):
    time, amount, label, keys = columns
    return list(zip(time.tolist(), amount.tolist(), label.tolist(), zip(*keys, strict=True), strict=True))


@st.composite
def tables(draw, most=24):
    """Few payments at few moments of few entities, so that ties and edges of windows are common; in any order."""
    n = draw(st.integers(1, most))

    def many(values):
        return draw(st.lists(values, min_size=n, max_size=n))

    time = np.array(many(st.integers(0, 40)), "int64") * 12 * HOUR
    amount = np.array(many(st.sampled_from([0.0, 0.01, 1.0, 9.99, 10.0, 250.0, 1e4])))
    label = np.array(many(st.sampled_from([UNKNOWN, 0, 0, 1])), "int8")
    return time, amount, label, [names(many(st.integers(0, 2))), names(many(st.integers(0, 1)))]


setups = st.tuples(
    st.sampled_from([("1D",), ("1D", "7D"), ("12h", "3D", "10D")]), st.sampled_from(["0D", "12h", "2D", "7D"])
)


def same(found, expected, **kwargs):
    np.testing.assert_allclose(found, expected, **{"rtol": 1e-6, "atol": 1e-6, **kwargs})


@settings(max_examples=120, deadline=None)
@given(tables(), setups, st.integers(0, 24))
def test_features_are_what_their_names_say(table, setup, cut):
    history = History(("card", "shop"), *setup, labelled=True)
    stored, asked = rows(table, slice(0, cut)), rows(table, slice(cut, None))
    found = history.add(*stored).features(*asked)
    if len(asked[0]):
        # sums of large amounts, subtracted, leave less than six digits of small ones
        same(found, plain_features(stored, asked, history.spans, history.delay), rtol=1e-4, atol=1e-4)
    else:
        assert found.shape == (0, len(history.names()))


@settings(max_examples=80, deadline=None)
@given(tables(), setups, st.integers(0, 24))
def test_one_by_one_equals_all_at_once(table, setup, cut):
    table = rows(table, np.argsort(table[0], kind="stable"))
    # no two payments alike: noted, the second would be the late label of the first
    table = (table[0], table[1] + 0.001 * np.arange(len(table[0])), *table[2:])
    history = History(("card", "shop"), *setup, labelled=True)
    asked = rows(table, slice(cut, None))
    together = history.add(*rows(table, slice(0, cut))).features(*asked)
    lone = history.add(*rows(table, slice(0, cut)))
    for i in range(len(asked[0])):
        one = rows(asked, slice(i, i + 1))
        same(lone.features(*one)[0], together[i])
        lone = lone.note(*one)


@pytest.mark.parametrize("step", [HOUR, 1])
def test_thousands_one_by_one_equal_the_batch(step):
    table = payments(5000, entities=(150, 60, 3), step=step)
    history = History(("card", "terminal", "channel"), WINDOWS, "7D", labelled=True)
    past, asked = rows(table, slice(0, 1500)), rows(table, slice(1500, None))
    together = history.add(*past).features(*asked)
    lone = history.add(*past)
    found = np.empty_like(together)
    for i in range(len(found)):
        one = rows(asked, slice(i, i + 1))
        found[i] = lone.features(*one)[0]
        lone.note(*one)
    same(found, together)
    assert len(np.unique(together, axis=0)) > 3000  # the rows differ, so that equality says something
    same(
        lone.features(*rows(table, slice(4000, 5000))),
        lone.add(*rows(table, slice(0, 0))).features(*rows(table, slice(4000, 5000))),
    )


def test_rows_come_back_in_the_order_given():
    table = payments(800, step=1)
    shuffled = np.random.default_rng(1).permutation(800)
    history = History(("card", "terminal"), WINDOWS, "7D", labelled=True)
    same(history.features(*rows(table, shuffled)), history.features(*table)[shuffled], rtol=1e-12)


def test_more_rows_than_a_block(monkeypatch):
    table = payments(500)
    history = History(("card", "terminal"), WINDOWS, "7D", labelled=True)
    whole = history.features(*table)
    monkeypatch.setattr(module, "BLOCK", 7)
    same(history.features(*table), whole, rtol=0, atol=0)


def test_names_say_every_column():
    for windows in (("1D",), WINDOWS):
        for labelled in (True, False):
            history = History(("card", "terminal"), windows, "7D", labelled)
            width = history.features(*payments(5)).shape[1]
            assert len(history.names()) == len(set(history.names())) == width
            assert history.features(*payments(1)).shape == (1, width)
    assert any("fraud" in name for name in History(("card",), WINDOWS, "7D", True).names())
    assert not any("fraud" in name or "judged" in name for name in history.names())


def test_without_labels_the_other_facts_stay():
    table = payments(300)
    with_labels = History(("card", "terminal"), WINDOWS, "7D", labelled=True)
    without = History(("card", "terminal"), WINDOWS, "7D", labelled=False)
    kept = [with_labels.names().index(name) for name in without.names()]
    same(without.features(*table), with_labels.features(*table)[:, kept], rtol=0, atol=0)


def test_the_order_of_windows_does_not_matter():
    table = payments(300)
    one, other = (History(("card", "terminal"), w, "7D", True) for w in (("30D", "1D", "7D"), WINDOWS))
    assert one.names() == other.names()
    same(one.features(*table), other.features(*table), rtol=0, atol=0)


def test_a_label_serves_nobody_before_its_delay():
    table = payments(400, unknown=0)
    other = (*table[:2], 1 - table[2], table[3])
    history = History(("card", "terminal"), WINDOWS, "7D", labelled=True)
    young = table[0] <= table[0][0] + 7 * DAY - 1
    one, two = history.features(*table), history.features(*other)
    assert young.sum() > 20
    same(one[young], two[young], rtol=0, atol=0)
    assert not np.allclose(one[~young], two[~young])


# ---- growing ---------------------------------------------------------------


def test_late_labels_one_by_one_or_many_equal_labels_from_the_start():
    table = payments(600, unknown=0)
    hidden = (*table[:2], np.where(np.arange(600) % 3, UNKNOWN, table[2]).astype("int8"), table[3])
    asked = payments(200, seed=5, days=30)
    asked = (asked[0] + 60 * DAY, *asked[1:])
    empty = History(("card", "terminal"), WINDOWS, "7D", labelled=True)
    known, waiting = empty.add(*table), empty.add(*hidden)
    expected = known.features(*asked)
    assert not np.allclose(waiting.features(*asked), expected)
    late = np.random.default_rng(0).permutation(np.flatnonzero(hidden[2] == UNKNOWN))

    many = waiting.add(*rows(table, late))
    assert len(many) == 600
    same(many.features(*asked), expected)

    few = waiting.add(*rows(table, slice(0, 0)))
    for i in late:
        few = few.note(*rows(table, slice(i, i + 1)))
    assert len(few) == 600
    same(few.features(*asked), expected)
    same(
        np.concatenate([few.features(*rows(asked, slice(i, i + 1))) for i in range(200)]),
        known_one_by_one(known, asked),
    )
    same(empty.read_arrays(few.to_arrays()).features(*asked), expected)


def known_one_by_one(history, asked):
    return np.concatenate([history.features(*rows(asked, slice(i, i + 1))) for i in range(len(asked[0]))])


def test_a_late_label_finds_payments_noted_one_by_one():
    table = payments(120, unknown=0)
    hidden = (*table[:2], np.full(120, UNKNOWN, "int8"), table[3])
    expected = History(("card", "terminal"), WINDOWS, "7D", True).add(*table)
    lone = History(("card", "terminal"), WINDOWS, "7D", True)
    for i in range(120):
        lone.note(*rows(hidden, slice(i, i + 1)))
    for start in range(0, 120, 30):  # up to 32 rows are noted in place
        lone.note(*rows(table, slice(start, start + 30)))
    assert len(lone) == 120
    later = payments(80, seed=2)
    later = (later[0] + 30 * DAY, *later[1:])
    same(lone.features(*later), expected.features(*later))
    same(known_one_by_one(lone, later), known_one_by_one(expected, later))


def test_equal_payments_are_judged_one_after_the_other():
    one = (np.array([DAY]), np.array([5.0]), np.array([UNKNOWN], "int8"), [names([1]), names([2])])
    judged = (*one[:2], np.array([1], "int8"), one[3])
    asked = (np.array([20 * DAY]), np.array([5.0]), np.array([UNKNOWN], "int8"), one[3])
    place = History(("card", "terminal"), WINDOWS, "7D", True).names().index("card: judged payments, 30D")
    for grow in ("note", "add"):
        history = History(("card", "terminal"), WINDOWS, "7D", True)
        counts = []
        for row in (one, one, judged, judged, judged):
            history = getattr(history, grow)(*row)
            counts.append((len(history), history.features(*asked)[0, place]))
        assert counts == [(1, 0), (2, 0), (2, 1), (2, 2), (3, 3)], grow  # the third label is of a payment never seen


def test_a_judged_payment_is_not_judged_anew():
    table = payments(50, unknown=0)
    history = History(("card", "terminal"), WINDOWS, "7D", True).add(*table)
    assert len(history.add(*rows(table, slice(0, 1)))) == len(history) + 1


def test_add_leaves_the_old_history_as_it_was():
    table = payments(300)
    history = History(("card", "terminal"), WINDOWS, "7D", True).add(*rows(table, slice(0, 150)))
    asked = rows(table, slice(250, 300))
    before = history.features(*asked)
    grown = history.add(*rows(table, slice(150, 250)))
    grown.note(*rows(table, slice(250, 255)))
    assert len(history) == 150 and len(grown) == 255
    same(history.features(*asked), before, rtol=0, atol=0)


def test_features_keep_nothing():
    table = payments(300)
    history = History(("card", "terminal"), WINDOWS, "7D", True).add(*rows(table, slice(0, 100)))
    unseen = (*table[:3], [names(np.arange(300) + 1000), names(np.arange(300) + 1000)])
    before = {name: column.copy() for name, column in history.to_arrays().items()}
    history.features(*unseen)
    history.features(*rows(unseen, slice(0, 1)))
    after = history.to_arrays()
    assert len(history) == 100 and list(after) == list(before)
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_an_entity_never_seen_is_as_one_without_a_past():
    history = History(("card", "terminal"), WINDOWS, "7D", True).add(*payments(300))
    asked = (np.array([61 * DAY]), np.array([30.0]), np.array([UNKNOWN], "int8"), [names([999]), names([999])])
    one = history.features(*asked)
    same(one, History(("card", "terminal"), WINDOWS, "7D", True).features(*asked), rtol=0, atol=0)
    facts = dict(zip(history.names(), one[0], strict=True))
    assert facts["card: payments, 30D"] == 1 and facts["card: mean amount, 7D"] == 30
    assert facts["card: days since the last payment"] == 30 and facts["card: days since the last known fraud"] == 37
    two = tuple(np.repeat(column, 2) for column in asked[:3])
    known = [names([999, 0]), names([999, 0])]
    same(history.features(*two, known)[0], one[0])


# ---- numbers ---------------------------------------------------------------


def test_large_amounts_keep_their_cents_and_those_of_their_neighbours():
    rng = np.random.default_rng(0)
    n = 3000
    time, _, label, _ = payments(n, step=1)
    shop = rng.integers(0, 6, n)
    amount = np.round(np.array([1e9, 1e9, 1e6, 50, 1, 0.05])[shop] * rng.lognormal(0, 0.02, n), 2)
    table = (time, amount, label, [names(shop)])
    history = History(("shop",), WINDOWS, "7D", labelled=True)
    found = history.features(*table)
    picked = rng.choice(n, 300, replace=False)
    spans = history.spans
    expected = []
    for i in picked:
        past = [(int(time[j]), float(amount[j]), int(label[j])) for j in np.flatnonzero(shop[:i] == shop[i])]
        expected.append(told(past, int(time[i]), float(amount[i]), spans, history.delay))
    same(found[picked], expected, atol=1e-8)


def test_one_absurd_amount_stays_alone():
    table = payments(500, entities=(40, 25))
    history = History(("card", "terminal"), WINDOWS, "7D", labelled=True)
    usual = history.features(*table)
    absurd = (table[0][:1], np.array([1e300]), table[2][:1], [names([999]), names([999])])
    both = tuple(np.concatenate([b, a]) for a, b in zip(table[:3], absurd[:3], strict=True))
    keys = [np.concatenate([b, a]) for a, b in zip(table[3], absurd[3], strict=True)]
    with np.errstate(all="raise"):
        found = history.features(*both, keys)
        alone = history.features(*absurd)
    same(found[1:], usual, atol=1e-4)  # a spread of nothing is the root of a rounding error
    assert np.isfinite(found).all() and np.isfinite(alone).all()


# ---- keeping ---------------------------------------------------------------


def test_arrays_open_as_the_same_history():
    table = payments(700, days=30)
    odd = names(np.zeros(700, int))
    odd[:6] = ["a\nb", 'quo"te', "ünïcode 字", "nul\x00", "nul", "x" * 5000]
    table = (*table[:3], [table[3][0], odd])
    history = History(("card", "terminal"), WINDOWS, "7D", True).add(*rows(table, slice(0, 500)))
    history.note(*rows(table, slice(500, 510)))
    arrays = history.to_arrays()
    assert all(column.dtype != object for column in arrays.values())
    again = History(("card", "terminal"), WINDOWS, "7D", True).read_arrays(arrays)
    assert len(again) == len(history) == 510
    asked = rows(table, slice(510, 700))
    asked[3][1][:6] = odd[:6]
    same(again.features(*asked), history.features(*asked))
    same(known_one_by_one(again, asked), known_one_by_one(history, asked))
    grown = again.note(*rows(asked, slice(0, 3)))
    same(grown.features(*rows(asked, slice(3, None))), again.features(*rows(asked, slice(3, None))))


def test_an_empty_history_opens_again():
    history = History(("card", "terminal"), WINDOWS, "7D", True)
    again = History(("card", "terminal"), WINDOWS, "7D", True).read_arrays(history.to_arrays())
    assert len(again) == 0
    same(again.features(*payments(30)), history.features(*payments(30)), rtol=0, atol=0)
    assert len(History(("card", "terminal"), WINDOWS, "7D", True).read_arrays({})) == 0


@settings(max_examples=80, deadline=None)
@given(tables(), tables(most=6), setups)
def test_what_is_left_out_when_saved_never_matters_later(table, asked, setup):
    history = History(("card", "shop"), *setup, labelled=True).add(*table)
    asked = (asked[0] + table[0].max(), *asked[1:])
    kept = History(("card", "shop"), *setup, labelled=True).read_arrays(history.to_arrays())
    same(kept.features(*asked), history.features(*asked))
    same(known_one_by_one(kept, asked), known_one_by_one(history, asked))


def test_old_payments_are_left_out_when_saved():
    history = History(("card", "terminal"), WINDOWS, "7D", True).add(*payments(2000, days=120))
    arrays = history.to_arrays()
    assert 0 < len(arrays["time"]) < 1000
    assert arrays["time"].min() > arrays["time"].max() - 37 * DAY
    before_1970 = payments(50, days=3)
    early = History(("card", "terminal"), WINDOWS, "7D", True).add(before_1970[0] - 400 * 365 * DAY, *before_1970[1:])
    assert len(early.to_arrays()["time"]) == 50


# ---- real payments ---------------------------------------------------------


def test_features_of_the_book_on_real_payments(real_data):
    pandas = pytest.importorskip("pandas")
    folder = real_data / "tabular" / "fraud_transactions"
    book, all_payments = (
        folder / "handbook_features_2018-08-01.parquet",
        next(folder.glob("transactions_*.parquet"), None),
    )
    if not book.exists() or all_payments is None:
        pytest.skip("the payments of the Fraud Detection Handbook are not among the real data sets")
    book, table = pandas.read_parquet(book), pandas.read_parquet(all_payments)
    keys = [table[name].astype(str).to_numpy(object) for name in ("CUSTOMER_ID", "TERMINAL_ID")]
    history = History(("CUSTOMER_ID", "TERMINAL_ID"), WINDOWS, "7D", labelled=True)
    times = table.TX_DATETIME.to_numpy("datetime64[us]").astype("int64")
    began = clock.monotonic()
    found = history.features(times, table.TX_AMOUNT.to_numpy(float), table.TX_FRAUD.to_numpy("int8"), keys)
    assert clock.monotonic() - began < 20
    assert len(found) == 555_712
    place = table.TRANSACTION_ID.to_numpy().searchsorted(book.TRANSACTION_ID.to_numpy())
    assert (table.TRANSACTION_ID.to_numpy()[place] == book.TRANSACTION_ID.to_numpy()).all()
    ours = dict(zip(history.names(), found[place].T, strict=True))
    for days in (1, 7, 30):
        for mine, theirs in (
            ("CUSTOMER_ID: payments", "CUSTOMER_ID_NB_TX"),
            ("CUSTOMER_ID: mean amount", "CUSTOMER_ID_AVG_AMOUNT"),
            ("TERMINAL_ID: judged payments", "TERMINAL_ID_NB_TX"),
            ("TERMINAL_ID: fraud rate", "TERMINAL_ID_RISK"),
        ):
            same(ours[f"{mine}, {days}D"], book[f"{theirs}_{days}DAY_WINDOW"].to_numpy(float))


def test_payments_asked_apart_know_nothing_of_each_other():
    table = payments(600, entities=(40, 15))
    history = History(("card", "terminal"), WINDOWS, "7D", labelled=True).add(*rows(table, slice(0, 450)))
    for place in range(450, 500):  # some of their entities have a log of their own by now
        history = history.note(*rows(table, slice(place, place + 1)))
    asked = rows(table, slice(500, 600))
    time, amount, _, keys = asked
    together = history.apart(time, amount, keys)
    for i in range(100):
        same(history.features(*rows(asked, slice(i, i + 1)))[0], together[i])
    assert not np.allclose(together, history.features(*asked))  # where earlier ones serve later ones
    assert history.apart(time[:0], amount[:0], [key[:0] for key in keys]).shape == (0, together.shape[1])
