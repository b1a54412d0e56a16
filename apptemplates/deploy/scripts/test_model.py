"""The model gives what the template gave from which it was taken, to 1e-5."""

import data
import model
import numpy as np


def test_it_answers_as_the_template_did() -> None:
    """Every output of the saved queries is the same."""
    golden = data.read_arrays(data.HERE / "golden.npz")
    queries, answers = (
        {name.removeprefix(side): column for name, column in golden.items() if name.startswith(side)}
        for side in ("query/", "answer/")
    )
    found = model.caller(model.load())(queries)
    assert set(found) == set(answers)
    for name, column in answers.items():
        if column.dtype == object:
            assert found[name].tolist() == column.tolist(), name
        else:
            np.testing.assert_allclose(found[name].astype("float64"), column.astype("float64"), rtol=1e-5, atol=1e-5)


if __name__ == "__main__":
    test_it_answers_as_the_template_did()
    print("the same to 1e-5")
