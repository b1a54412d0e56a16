"""What items are like, and which others they borrow from."""

import numpy as np

from apptemplates.data import item_features
from apptemplates.data.schema import Field, Schema


def test_fields_have_the_kind_that_is_known():
    known = Schema.of({"price": Field("", "number"), "told": Field("", "text")})
    fields = item_features.fields(("price", "told", "genre"), known)
    assert [(field.kind, field.several, field.required) for field in fields.values()] == [
        ("number", False, False),
        ("category", True, False),
        ("category", True, False),
    ]


def test_what_was_never_learned_borrows_from_what_is_most_like_it():
    items = {
        "genre": np.array(["tea|green", "tea", "cake", "tea|green", ""], object),
        "price": np.array([1.0, 2.0, 9.0, 1.0, np.nan]),
    }
    fields = item_features.fields(("genre", "price"), Schema.of({"price": Field("", "number")}))
    learned = {name: column[:3] for name, column in items.items()}
    rows, shares = item_features.borrowed(items, item_features.learn(learned, fields), 3)
    assert rows.shape == (2, 3) and rows[0, shares[0].argmax()] == 0
    np.testing.assert_allclose(shares.sum(axis=1), [1, 0], atol=1e-6)  # of the last one nothing is known
