"""Records made up by small simulators: for demos, tests and what is published with a saved model."""

import numpy as np

from apptemplates.data.table import Table, take

DAYS = 60
DAY = 86_400.0
REGIONS = np.array(["north", "east", "south", "west"], dtype=object)
CHANNELS = np.array(["shop", "online", "cash machine"], dtype=object)


def payments(n: int = 6000, seed: int = 0) -> Table:
    """Card payments of about 60 days, some 3 % of them frauds that only history gives away.

    Every card has its own usual amount, hours, terminals and way of paying. Frauds come from three stories: a
    terminal that is compromised for two to three weeks (its payments look like any other, only many turn out to be
    frauds), a stolen card (for a week many of its payments are several times its usual amount, mostly online), and
    single large payments.

    Args:
        n: Number of payments.
        seed: Of the draw.

    Returns:
        A table ordered by time: time datetime64[us], amount (EUR), card, terminal, channel, foreign (0/1), region
        (sensitive: says nothing about fraud beyond chance), fraud (0/1).

    Example:
        >>> payments(3)["amount"].shape
        (3,)
    """
    rng = np.random.default_rng(seed)
    cards, terminals = max(20, n // 60), max(20, n // 60)

    usual = rng.lognormal(3.4, 0.6, cards)  # EUR
    hour = rng.normal(14, 2.5, cards)
    online = rng.beta(1.2, 4, cards)
    travels = rng.beta(1, 25, cards)
    region = rng.integers(0, len(REGIONS), cards)
    favourites = rng.integers(0, terminals, (cards, 6))
    activity = rng.gamma(4.0, 1.0, cards)

    card = rng.choice(cards, n, p=activity / activity.sum())
    day = rng.integers(0, DAYS, n)
    seconds = day * DAY + (rng.normal(hour[card], 3.0) % 24) * 3600
    terminal = np.where(rng.random(n) < 0.85, favourites[card, rng.integers(0, 6, n)], rng.integers(0, terminals, n))
    channel = np.where(rng.random(n) < online[card], 1, np.where(rng.random(n) < 0.1, 2, 0))
    foreign = rng.random(n) < travels[card]
    amount = usual[card] * rng.lognormal(0, 0.45, n)

    skimmed_from = np.where(rng.random(terminals) < 0.10, rng.uniform(-10, DAYS - 8, terminals), np.inf) * DAY
    skimmed_for = rng.uniform(14, 21, terminals) * DAY
    since = seconds - skimmed_from[terminal]
    skimmed = (since >= 0) & (since < skimmed_for[terminal]) & (rng.random(n) < 0.85)

    stolen_from = np.where(rng.random(cards) < 0.25, rng.uniform(-5, DAYS, cards), np.inf) * DAY
    since = seconds - stolen_from[card]
    stolen = (since >= 0) & (since < 7 * DAY) & (rng.random(n) < 0.7)
    amount = np.where(stolen, amount * rng.uniform(2.5, 6, n), amount)
    channel = np.where(stolen & (rng.random(n) < 0.7), 1, channel)

    large = (amount > 220) & (rng.random(n) < 0.15)
    fraud = skimmed | stolen | large

    table = {
        "time": np.datetime64("2024-03-01", "us") + (seconds * 1e6).astype("timedelta64[us]"),
        "amount": np.round(np.maximum(amount, 0.5), 2),
        "card": numbered("card", cards)[card],
        "terminal": numbered("terminal", terminals)[terminal],
        "channel": CHANNELS[channel],
        "foreign": foreign.astype(np.int64),
        "region": REGIONS[region[card]],
        "fraud": fraud.astype(np.int64),
    }
    return take(table, np.argsort(table["time"], kind="stable"))


def numbered(word: str, count: int) -> np.ndarray:
    """Names such as card-0007, an object array (count,)."""
    return np.array([f"{word}-{number:04d}" for number in range(count)], dtype=object)
