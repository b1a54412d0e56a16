"""An explanation is trusted where what it names first undoes answers sooner than chance."""

import numpy as np

from apptemplates.evaluation import deletion


def test_what_is_better_than_chance_is_trusted_and_what_is_not_is_not():
    soon, late = np.linspace(1, 0, 11) ** 4, np.linspace(1, 0, 11)
    good = deletion.trust([soon] * 5, [late] * 5, "an answer", "taking away", "no")
    assert good.sentence.startswith("The explanation says more than chance about what moves an answer: taking away")
    assert good.notes["better than random"] is True and good.notes["difference"].high < 0 and len(good.figures) == 1
    bad = deletion.trust([soon, late], [late, soon], "an answer", "taking away", "no")
    assert bad.sentence.startswith("Do not rely on the explanation of an answer")
    assert deletion.trust([soon], [late], "an answer", "taking away", "no").notes["better than random"] is True
    none = deletion.trust([], [], "an answer", "taking away", "there are none")
    assert none.sentence.endswith("was not measured: there are none.") and not none.notes and not none.figures


def test_what_stands_equally_far_back_is_averaged():
    axes = deletion.by_age("Title", "Caption.", [(1, 2.0), (1, 4.0), (3, 1.0)], "back", "nats").axes[0]
    assert [bar.get_height() for bar in axes.patches] == [3.0, 1.0] and axes.get_xlabel() == "back"
