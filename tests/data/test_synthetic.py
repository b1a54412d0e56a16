import numpy as np

from apptemplates.data import synthetic


def test_payments_are_ordered_typed_and_the_same_for_a_seed():
    table = synthetic.payments(6000, seed=3)
    assert list(table) == ["time", "amount", "card", "terminal", "channel", "foreign", "region", "fraud"]
    assert {len(column) for column in table.values()} == {6000}
    assert (np.diff(table["time"]) >= np.timedelta64(0)).all()
    assert (table["amount"] > 0).all()
    assert np.ptp(table["time"]) > np.timedelta64(55, "D")
    again = synthetic.payments(6000, seed=3)
    assert all((table[name] == again[name]).all() for name in table)


def test_some_three_in_a_hundred_are_frauds_and_history_gives_them_away():
    shares, ratios = [], []
    for seed in range(5):
        table = synthetic.payments(6000, seed=seed)
        fraud = table["fraud"] == 1
        shares.append(fraud.mean())
        _, terminal = np.unique(table["terminal"], return_inverse=True)
        rates = np.bincount(terminal, weights=fraud) / np.bincount(terminal)
        ratios.append(rates[terminal][fraud].mean() / rates[terminal][~fraud].mean())
    assert 0.02 < np.mean(shares) < 0.04
    assert min(ratios) > 3
    assert len(synthetic.payments(1)["time"]) == 1
