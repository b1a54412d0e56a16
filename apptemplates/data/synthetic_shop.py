"""A made-up shop to try recommenders on: tastes, series that follow one another, bestsellers and new things."""

import numpy as np

from apptemplates.data.synthetic import numbered
from apptemplates.data.table import Table, take

CATEGORIES = np.array(["books", "garden", "kitchen", "music", "photo", "sports", "tea", "tools"], dtype=object)
REGIONS = np.array(["north", "south", "east"], dtype=object)
SERIES = 5  # things that are mostly bought one after the other
DAYS = 120


def purchases(users: int = 400, items: int = 160, seed: int = 0) -> Table:
    """Purchases of made-up customers, in the order of time.

    Everybody likes a few categories and looks for things of about one price; things come in series of five of which the
    next one is often bought soon after the last; a few sell much better than the others, and some come late.

    Args:
        users: How many customers.
        items: How many things there are; all of them are in `things`.
        seed: The same seed gives the same purchases.

    Returns:
        Columns user, item (str), time (datetime64), rating (1..5), category (str) and price of the item, region of the
        user.

    Example:
        >>> sorted(purchases(20, 40))
        ['category', 'item', 'price', 'rating', 'region', 'time', 'user']
    """
    rng = np.random.default_rng(seed)
    catalogue = things(items, seed)
    kind = np.searchsorted(CATEGORIES, catalogue["category"])
    price = np.log(catalogue["price"])
    fame = rng.lognormal(0.0, 0.7, items)
    release = np.where(rng.random(items) < 0.85, 0.0, rng.uniform(0, 0.8 * DAYS, items))
    taste = rng.dirichlet(np.full(len(CATEGORIES), 0.25), users)
    purse = rng.normal(price.mean(), 0.5, users)
    region = rng.integers(0, len(REGIONS), users)
    user, item, day = [], [], []
    for person in range(users):
        wish = fame * taste[person, kind] * np.exp(-((price - purse[person]) ** 2))
        moments = np.sort(rng.uniform(rng.uniform(0, 0.7) * DAYS, DAYS, 4 + rng.poisson(10)))
        bought: set[int] = set()
        last = -1
        for moment in moments:
            chance = wish * (release <= moment)
            chance[list(bought)] = 0.0
            following = last + 1 if last >= 0 and (last + 1) % SERIES and last + 1 < items else -1
            if following >= 0 and following not in bought and rng.random() < 0.6:
                last = following
            elif chance.sum() > 0:
                last = int(rng.choice(items, p=chance / chance.sum()))
            else:
                break
            bought.add(last)
            user.append(person)
            item.append(last)
            day.append(moment)
    who, what = np.array(user), np.array(item)
    joy = 3.2 + 2.0 * taste[who, kind[what]] + rng.normal(0, 0.8, len(who))
    seconds = (np.array(day) * 86_400e6).astype("timedelta64[us]")
    table = {
        "user": numbered("user", users)[who],
        "item": catalogue["item"][what],
        "time": np.datetime64("2024-03-01", "us") + seconds,
        "rating": np.clip(np.round(joy), 1, 5),
        "category": catalogue["category"][what],
        "price": catalogue["price"][what],
        "region": REGIONS[region[who]],
    }
    return take(table, np.argsort(table["time"], kind="stable"))


def things(items: int = 160, seed: int = 0) -> Table:
    """What the shop sells: columns item, category, price."""
    rng = np.random.default_rng((seed, 1))
    series = np.arange(items) // SERIES
    kind = rng.integers(0, len(CATEGORIES), series.max() + 1)[series]
    price = np.exp(rng.normal(3.0, 0.8, series.max() + 1)[series] + rng.normal(0, 0.1, items))
    return {"item": numbered("item", items), "category": CATEGORIES[kind], "price": np.round(price, 2)}
