"""What refits on frozen features tell: wrong labels come first, curves fall as they do, and nothing is made up."""

import time

import numpy as np
import pytest

import apptemplates as at
from apptemplates import contract
from apptemplates.data import synthetic_loans
from apptemplates.data.schema import DataError
from apptemplates.evaluation import diagnosis
from apptemplates.evaluation.diagnosis import Frozen


def blobs(n, seed, classes=3):
    rng = np.random.default_rng(seed)
    place = rng.integers(0, classes, n)
    features = (rng.normal(size=(n, 8)) + 1.6 * np.eye(classes, 8)[place]).astype("float32")
    return Frozen(features, place, tuple("abcdefgh"[:classes]))


def test_wrong_labels_are_named_first_and_counted():
    features, place, names = blobs(2_000, 0)
    rng = np.random.default_rng(1)
    features += 2 * np.eye(3, 8)[place]  # far apart, so that the labels can be told
    wrong = rng.choice(2_000, 100, replace=False)
    spoilt = place.copy()
    spoilt[wrong] = (place[wrong] + 1) % 3
    found = diagnosis.diagnose(Frozen(features, spoilt, names), blobs(300, 2), seed=0)
    first = {row for row, _ in found["suspects"]}
    assert len(found["suspects"]) == 100 and len(first & set(wrong.tolist())) > 85
    assert 0.035 < found["wrong"] < 0.07


def test_more_rows_are_better_and_the_law_is_followed():
    found = diagnosis.diagnose(blobs(1_600, 0), blobs(3_000, 1), seed=0)
    rows, scores = zip(*found["curve"], strict=True)
    assert rows == (100, 200, 400, 800, 1_600) and scores[-1] > scores[0]
    law = [[n, 1 - 2 * n**-0.5] for n in (100, 200, 400, 800)]
    more, score = diagnosis.foreseen(law)
    assert more == 1_600 and score == pytest.approx(1 - 2 * 1_600**-0.5)
    assert diagnosis.foreseen(law[:3]) is None  # too few points
    assert diagnosis.foreseen([[n, 0.9 - n / 1e4] for n in (100, 200, 400, 800)]) is None  # it gets no better


def test_how_many_more_a_score_needs():
    law = [[n, 1 - 2 * n**-0.5] for n in (100, 200, 400, 800)]
    assert diagnosis.needed(law, wished=0.95) == pytest.approx(800)  # 1,600 rows leave an error of .05
    assert diagnosis.needed(law, wished=0.5) == 0
    assert diagnosis.needed(law, wished=0.999) == float("inf")
    assert diagnosis.needed([[n, 0.8] for n in (100, 200, 400, 800)]) is None


def rare(n, few, seed):
    """Three classes of which the last is rare and hard."""
    features, place, names = blobs(n, seed)
    kept = np.flatnonzero(place != 2)[: n - few], np.flatnonzero(place == 2)[:few]
    kept = np.concatenate(kept)
    features = features + 1.2 * np.eye(3, 8)[place] * (place != 2)[:, None]
    return Frozen(features[kept], place[kept], names)


def test_the_class_that_needs_more_is_named_and_the_number_is_about_right():
    held_out = rare(6_000, 2_000, 1)
    found = diagnosis.diagnose(rare(1_500, 40, 0), held_out, seed=0)
    weakest = found["weakest"]
    assert weakest["name"] == "c" and weakest["curve"][-1][0] == 40
    before, after = weakest["curve"][0][1], weakest["curve"][-1][1]
    assert after > before + 0.05
    told = diagnosis.notes(found)["what would help most"]
    assert told.startswith("'c' is found least often: recall ")
    # what is said of twice its records holds when they are there
    _, said = diagnosis.foreseen(weakest["curve"])
    more = diagnosis.diagnose(rare(1_500, 80, 0), held_out, seed=0)["weakest"]["curve"][-1]
    assert more[0] == 80 and more[1] == pytest.approx(said, abs=0.03)


def test_sentences_of_what_would_help():
    def told(*recalls):
        curve = [[n, r] for n, r in zip((50, 100, 200, 400), recalls, strict=True)]
        return diagnosis.wish({"name": "fray", "curve": curve})

    assert "about 1,200 more of them for a recall of 0.95" in told(*(1 - 2 * n**-0.5 for n in (50, 100, 200, 400)))
    assert "other features would help more" in told(0.8, 0.8, 0.8, 0.8)
    assert "no class needs more" in told(0.9, 0.93, 0.95, 0.97)
    assert "more than 20 times" in told(0.5, 0.51, 0.52, 0.53)


def test_a_class_with_few_held_out_rows_is_not_judged():
    found = diagnosis.diagnose(rare(600, 30, 0), rare(300, 5, 1), seed=0)
    assert found["weakest"]["name"] in ("a", "b")


def test_of_one_class_nothing_is_told():
    features, _, names = blobs(50, 0)
    found = diagnosis.diagnose(Frozen(features, np.zeros(50, int), names), blobs(20, 1), seed=0)
    assert found == {**diagnosis.nothing(), "rows": 50} and diagnosis.notes(found) == {}


def test_fit_notes_it_and_every_report_reads_it():
    loans = synthetic_loans.loans(900)
    app = at.RiskScorer(label="not_paid_back", group="customer", sensitive=("sex", "age_group"), epochs=2, refit=False)
    app.fit(loans, diagnose=True, verbose=0)
    told = app.report_.notes
    assert (
        "rows, by a regression" in told["labels learned from that look wrong"] and "rows 0." in told["learning curve"]
    )
    assert list(app.report_.suspects)[:2] == ["row", "chance of its label"] and "income" in app.report_.suspects
    again = app.evaluate(synthetic_loans.loans(200, seed=3))
    assert again.notes["learning curve"] == told["learning curve"]


def test_templates_that_tell_nothing_are_refused():
    class Silent(at.Recommender):
        def growing(self, train, valid):
            return None

    Silent.growing = contract.Contract.growing
    app, shop = Silent.demo()
    with pytest.raises(DataError, match=r"Silent: diagnose tells nothing of its records; call fit without it"):
        app.clone(epochs=1).fit(shop, diagnose=True, verbose=0)


def test_of_what_people_took_it_tells_what_more_people_bring():
    app, shop = at.Recommender.demo()
    app = app.clone(epochs=1)
    app.fit(shop, diagnose=True, verbose=0)
    curve = app.learned_["diagnosis"]["curve"]
    numbers, scores = zip(*curve, strict=True)
    assert numbers[-1] == len(set(shop["user"])) and numbers[0] < numbers[-1] / 10 and len(curve) == 5
    assert scores[-1] > scores[0] + 0.05
    told = app.report_.notes
    assert f"{numbers[-1]} people {scores[-1]:.3f} (NDCG@10 of " in told["learning curve"]
    assert told["labels that look wrong"] == "not looked for: nothing is labelled"
    kept = app.learned_["held out"][f"NDCG@10 of {app.baseline_name}"]
    assert scores[-1] == pytest.approx(kept, abs=0.02)


def test_of_text_it_tells_what_more_of_it_brings():
    app, stories = at.TextGenerator.demo()
    app = app.clone(epochs=1)
    app.fit(stories, diagnose=True, verbose=0)
    curve = app.learned_["diagnosis"]["curve"]
    _, scores = zip(*curve, strict=True)
    assert list(scores) == sorted(scores, reverse=True)  # the more it has read, the less it is surprised
    assert scores[-1] == pytest.approx(app.learned_["held out"]["nats a token of counted n-grams"], abs=0.01)
    told = app.report_.notes
    assert "characters" in told["learning curve"]
    number = float(told["with twice the characters"].removeprefix("nats a character of about ").split()[0])
    assert 0.7 * scores[-1] < number < scores[-1]


def test_growing_keeps_to_its_seconds():
    def slow(share, rng):
        time.sleep(share)
        return 100, 0.5

    given = diagnosis.Growing(slow, "people", "item-kNN", "NDCG@10")
    began = time.monotonic()
    found = diagnosis.grow(given, 0, seconds=1.0)
    assert time.monotonic() - began < 1.6 and 1 <= len(found["curve"]) < 5
    nothing = diagnosis.grow(given, 0, seconds=-1.0)
    assert diagnosis.notes(nothing) == {"diagnosis": "left out: its minutes were too few"}


def test_it_keeps_to_its_seconds():
    train, held_out = blobs(3_000, 0), blobs(200, 1)
    began = time.monotonic()
    found = diagnosis.diagnose(train, held_out, seed=0, seconds=3.0)
    assert time.monotonic() - began < 6
    assert diagnosis.TRIED <= found["rows"] <= 3_000
    nothing = diagnosis.diagnose(train, held_out, seed=0, seconds=1e-6)
    assert nothing["rows"] == 0
    assert diagnosis.notes(nothing) == {"diagnosis": "left out: its minutes were too few"}


def test_classes_of_both_sides_go_by_their_names():
    train, held_out = blobs(900, 0), blobs(600, 1)
    turned = Frozen(held_out.features, 2 - held_out.place, ("c", "b", "a"))
    first, second = (diagnosis.diagnose(train, one, seed=0)["curve"] for one in (held_out, turned))
    assert first == second and first[-1][1] > 0.7
    nobody = diagnosis.diagnose(Frozen(*train[:2], ()), Frozen(*held_out[:2], ()), seed=0)
    assert nobody["curve"] == [] and nobody["suspects"] and nobody["weakest"] is None


def test_rows_that_are_not_looked_at_are_left_out():
    features, place, names = blobs(600, 0)
    some = np.where(np.arange(600) < 200, -1, place)
    found = diagnosis.diagnose(Frozen(features, some, names), blobs(300, 1), seed=0)
    assert found["rows"] == 600 and min(row for row, _ in found["suspects"]) >= 200


def test_pictures_under_another_persons_name_are_suspects():
    app, faces = at.FaceVerifier.demo()
    records = {name: column.copy() for name, column in faces.items()}
    person = records["person"].astype(str)
    wrong = np.random.default_rng(0).choice(len(person), len(person) // 20, replace=False)
    names = np.unique(person)
    renamed = person.copy()
    renamed[wrong] = names[(np.searchsorted(names, person[wrong]) + 1) % len(names)]
    records["person"] = renamed.astype(object)
    app.fit(records, diagnose=True, verbose=0)
    told = app.report_.suspects
    assert len(told) and "labels learned from that look wrong" in app.report_.notes
    assert not set(names) & set(str(app.learned_["diagnosis"]).replace("'", " ").split())
    learned = app.split(app.record.check("test", records)[0])[0]
    spoilt = {records["image"][row].tobytes() for row in wrong}
    hits = [learned["image"][row].tobytes() in spoilt for row in told["row"][: len(wrong)]]
    assert np.mean(hits) > 0.3  # a share of .05 by chance, and two of six once in 30 times
