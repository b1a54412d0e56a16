"""Makes saved_models/recommender/ from a made-up shop, since no real set at hand may be passed on.

    python saved_models/recipes/recommender.py [folder]

Learns from the purchases of 1,000 made-up customers and is judged by the latest tenth of them. What customers bought is
left out (`share=True`): ask it with a `history`, or observe your own customers first.
"""

import sys
from pathlib import Path

import apptemplates as at
from apptemplates.data import splits, synthetic_shop

LICENCE = "made-up purchases of apptemplates.data.synthetic_shop, under Apache-2.0 like the weights; no real customer"


def main(folder: Path) -> None:
    """Fits, evaluates and saves."""
    earlier, later = splits.by_time(synthetic_shop.purchases(1000, 200), "time", 0.1)
    app = at.Recommender(time="time", item_features=("category", "price"), k=10, epochs=30, batch_size=128)
    app.fit(earlier)
    app.report_ = app.evaluate(later, by=("region",))
    print(app.report_)
    app.save(folder, share=True, licence=LICENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "recommender")
