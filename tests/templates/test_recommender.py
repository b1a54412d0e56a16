"""What is special to Recommender: whom it answers and with what, items nobody took, and interactions of every shape."""

import gzip

import numpy as np
import pandas as pd
import pytest

import apptemplates as at
from apptemplates.data import histories, synthetic_shop
from apptemplates.data.schema import DataError
from apptemplates.data.table import take
from apptemplates.evaluation import ranking, simple_rankings

SHOP = synthetic_shop.purchases(150, 60)
FIRST, LATER = take(SHOP, slice(0, -250)), take(SHOP, slice(-250, None))
BARE = {name: FIRST[name] for name in ("user", "item")}
QUICK = {"epochs": 2, "batch_size": 64, "k": 5, "refit": False}


def shop(**choices):
    return at.Recommender(
        **{"time": "time", "learns": "sequences", "item_features": ("category", "price"), **QUICK, **choices}
    )


@pytest.fixture(scope="module")
def app():
    return shop(refit=True).fit(FIRST, verbose=0)


@pytest.fixture(scope="module")
def sets():
    return at.Recommender(**QUICK | {"refit": True}).fit(BARE, verbose=0)


def taken_by(user, table=FIRST):
    return set(table["item"][table["user"] == user])


# ---- answers -----------------------------------------------------------------


def test_what_was_taken_is_left_out_and_lists_are_full(app, sets):
    people = np.unique(FIRST["user"])[:20]
    for one in (app, sets):
        answers = one.predict({"user": people})
        assert (answers["problem"] == "").all() and (answers["source"] == "user").all()
        for user, items, scores in zip(people, answers["items"], answers["scores"], strict=True):
            assert len(set(items)) == 5 and not taken_by(user) & set(items)
            assert scores == sorted(scores, reverse=True)


def test_a_user_and_a_stranger_of_the_same_history_get_the_same(app):
    user = FIRST["user"][0]
    mine = FIRST["item"][FIRST["user"] == user].tolist()
    known, stranger = app.predict_one({"user": user}), app.predict_one({"history": mine})
    assert known["items"] == stranger["items"] and (known["source"], stranger["source"]) == ("user", "history")


def test_a_query_says_how_many_and_which(app):
    history = FIRST["item"][:3].tolist()
    assert len(app.predict_one({"history": history, "k": 12})["items"]) == 12
    some = ["item-0001", "item-0002", "item-0003"]
    among = app.predict_one({"history": ["item-0002"], "candidates": some})
    assert sorted(among["items"]) == ["item-0001", "item-0003"]
    again = app.predict_one({"history": ["item-0002"], "exclude": ["item-0001"], "candidates": some})
    assert sorted(again["items"]) == ["item-0002", "item-0003"]  # `exclude` stands instead of what was taken


def test_a_list_as_text_is_a_list(app):
    as_text = app.predict({"history": np.array(["item-0001|item-0002"], object)})
    as_list = app.predict_one({"history": ["item-0001", "item-0002"]})
    assert as_text["items"][0] == as_list["items"]


def test_reasons_are_items_of_the_history(app):
    answer = app.predict_one({"history": ["item-0001", "item-0010"]})
    assert all(set(reasons) <= {"item-0001", "item-0010"} for reasons in answer["because"])
    assert any(answer["because"])


def test_the_next_of_a_series_comes_first(app):
    """In the made-up shop things come in series of five; this is what a sequence tells and a set does not."""
    nexts = [app.predict_one({"history": [f"item-{first:04d}"]})["items"] for first in range(0, 60, 5)]
    right = [f"item-{first + 1:04d}" in items for first, items in zip(range(0, 60, 5), nexts, strict=True)]
    assert np.mean(right) > 0.7


def test_sequences_and_sets_are_tried_and_the_held_out_items_choose():
    some = take(SHOP, slice(0, 400))
    fitted = at.Recommender(time="time", **QUICK).fit(
        {name: some[name] for name in ("user", "item", "time")}, verbose=0
    )
    tried = fitted.learned_["tried"]
    assert set(tried) == {"sequences", "sets"} and fitted.learned_["kind"] == max(tried, key=tried.get)
    assert fitted.learned_["held out"]["NDCG@5 of blend"] == max(tried.values())
    assert fitted.clone().learns is None and fitted.predict_one({"history": ["item-0001"]})["items"]


def test_plain_ease_stands_in_the_table_as_it_is(sets):
    """What the row says is what EASE, learned here from the same histories, gives."""
    report = sets.evaluate({name: LATER[name] for name in ("user", "item")})
    rows = report.table.set_index("ranked by")["NDCG@5"]
    queries, truth = sets.make_trials(sets.record.check("test", {n: LATER[n] for n in ("user", "item")})[0])
    liked = histories.liked_rows(sets.state_, sets.catalogue)
    weights = simple_rankings.ease(
        list(liked.values()), sets.learned_["learned"], sets.learned_["EASE"]["strength"], 0.0
    )
    past = [liked.get(user, np.empty(0, int)) for user in queries["user"]]
    scores = simple_rankings.flags(past, len(weights)) @ weights
    for row, taken in enumerate(past):
        scores[row, taken - 1] = -np.inf
    lists = np.array(sets.learned_["items"], object)[ranking.top_rows(scores, 5)].tolist()
    known = [row for row, taken in enumerate(past) if len(taken)]
    wanted = [[name for name in text.split("|") if name] for text in truth["taken"]]
    expected = ranking.score([wanted[row] for row in known], [lists[row] for row in known], 5)["NDCG@5"]
    assert len(known) == len(past) and rows["EASE alone"] == pytest.approx(expected, abs=1e-9)


def test_whom_nothing_is_known_of_gets_what_is_popular(app):
    popular = app.predict_one({"history": []})
    assert popular["source"] == "popularity (the history is empty)"
    counts = pd.Series(FIRST["item"]).value_counts()
    assert np.mean([counts[item] for item in popular["items"]]) >= counts.iloc[:8].mean()
    stranger = app.predict_one({"user": "nobody"})
    assert stranger["source"] == "popularity (user is not known)" and stranger["items"] == popular["items"]
    unknown = app.predict_one({"history": ["item-9999", "nothing"]})
    assert unknown["source"] == "popularity (no item of the history is known)"


def test_unknown_items_among_known_ones_change_nothing(app):
    assert (
        app.predict_one({"history": ["item-0001", "item-9999"]})["items"]
        == app.predict_one({"history": ["item-0001"]})["items"]
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"history": ["item-0001"], "k": 1000}, "'k' is 1000; give a whole number from 1 to"),
        ({"history": ["item-0001"], "k": 0}, "'k' is 0; give a whole number"),
        ({"history": ["item-0001"], "k": 2.5}, "'k' is 2.5"),
        ({}, "neither a 'user' nor a 'history'; give one of them, [] for somebody new"),
        ({"user": None}, "neither a 'user' nor a 'history'"),
        ({"history": ["item-0001"], "candidates": ["item-0001"]}, "none of the 1 candidates can be recommended"),
        ({"history": [], "exclude": ["item-0002"], "candidates": ["item-0002"]}, "none of the 1 candidates"),
        ({"history": [], "exclude": [f"item-{i:04d}" for i in range(300)]}, "'exclude' names 300 items; give at most"),
    ],
)
def test_queries_that_can_not_be_answered(app, query, words):
    with pytest.raises(DataError, match="Recommender: ") as caught:
        app.predict_one(query)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_bad_query_keeps_its_row(app):
    answers = app.predict({"user": np.array([FIRST["user"][0]] * 3, object), "k": [3, 10_000, 2]})
    assert [len(items) for items in answers["items"]] == [3, 0, 2]
    assert "'k' is 10000" in answers["problem"][1] and answers["problem"][0] == ""


# ---- ids, times and ratings ----------------------------------------------------


@pytest.fixture(scope="module")
def numbered():
    """Fitted on ids that are numbers, everything told twice, and one user who took a single thing."""
    numbers = {"user": np.unique(FIRST["user"], return_inverse=True)[1], "item": [int(n[-4:]) for n in FIRST["item"]]}
    twice = {name: np.append(np.tile(column, 2), [value]) for (name, column), value in zip(numbers.items(), (999, 1))}  # noqa: B905
    return at.Recommender(**QUICK | {"refit": True}).fit(twice, verbose=0)


def test_ids_are_the_same_however_they_are_written(numbered):
    expected = numbered.predict_one({"user": 3})
    assert expected["items"] == numbered.predict_one({"user": 3.0})["items"]
    assert expected["items"] == numbered.predict_one({"user": "3"})["items"]
    assert all(item.isdigit() for item in expected["items"])
    floats = {"history": [[1.0, 2.0]]}
    assert numbered.predict(floats)["items"][0] == numbered.predict_one({"history": ["1", "2"]})["items"]


def test_duplicate_interactions_count_once(numbered, sets):
    assert len(numbered.state_.code) == len(sets.state_.code) + 1
    ours, theirs = (np.sort(one._blend.popular) for one in (numbered, sets))
    np.testing.assert_allclose(ours, theirs, atol=0.02)  # how popular items are


def test_a_user_with_one_interaction_is_answered(numbered):
    assert numbered.predict_one({"user": 999})["source"] == "user"


def test_an_id_of_none_is_refused():
    spoilt = {**BARE, "user": BARE["user"].copy()}
    spoilt["user"][4] = None
    with pytest.raises(DataError, match=r"column 'user' .*row 4"):
        at.Recommender(**QUICK).fit(spoilt, verbose=0)


def test_the_order_of_rows_does_not_matter_where_times_are_known(app):
    mixed = take(FIRST, np.random.default_rng(0).permutation(len(FIRST["user"])))
    state = app.remember(app.record.check("test", mixed)[0], app.open_state({}))
    for user in np.unique(FIRST["user"])[:10]:
        ours, theirs = (one.names[one.code[one.span(user)]].tolist() for one in (app.state_, state))
        assert ours == theirs


def test_equal_times_keep_the_order_of_the_table():
    state = shop().remember(
        {**{n: np.array(list(c), object) for n, c in {"user": "aab", "item": "xyx"}.items()},
         "time": np.zeros(3, "datetime64[us]")}, shop().open_state({}),
    )  # fmt: skip
    assert state.names[state.code[state.span("a")]].tolist() == ["x", "y"]


def test_ratings_outside_the_scale_are_refused():
    spoilt = {**FIRST, "rating": FIRST["rating"].copy()}
    spoilt["rating"][7] = 11
    with pytest.raises(DataError, match=r"column 'rating' has 1 value above 5, in row 7 \(11"):
        shop(rating="rating").fit(spoilt, verbose=0)


@pytest.fixture(scope="module")
def rated():
    """Fitted on what was liked, with features told beforehand, also of an item that nobody took."""
    more = {"item": ["item-0000", "later"], "category": ["tea", "tea"], "price": [3.0, 3.0]}
    return shop(rating="rating", liked=3.5).describe(more).fit(FIRST, verbose=0)


def test_what_was_not_liked_is_not_recommended_again(rated):
    user = next(u for u, r in zip(FIRST["user"], FIRST["rating"], strict=True) if r < 3.5)
    assert not taken_by(user) & set(rated.predict_one({"user": user, "k": 40})["items"])
    disliked = FIRST["item"][(FIRST["user"] == user) & (FIRST["rating"] < 3.5)]
    assert not set(disliked) & {name for reasons in rated.predict_one({"user": user})["because"] for name in reasons}


def test_items_described_before_learning_are_known(rated):
    learned = rated.learned_["learned"]
    assert "later" in rated.learned_["items"][learned:]


@pytest.mark.parametrize(("role", "value"), [("user", "ann"), ("item", "tea")])
def test_one_user_or_one_item_is_too_few(role, value):
    table = {**BARE, role: np.full(len(BARE["user"]), value, object)}
    with pytest.raises(DataError, match=f"column '{role}' holds a single value .'{value}'.*several users"):
        at.Recommender(**QUICK).fit(table, verbose=0)


def test_everybody_with_a_single_interaction_can_not_be_judged():
    table = {"user": np.arange(30).astype(str).astype(object), "item": np.tile(BARE["item"][:10], 3)}
    with pytest.raises(DataError, match="every one of 30 users has a single interaction"):
        at.Recommender(**QUICK, hold_out="last").fit(table, verbose=0)


def test_nothing_liked_is_refused():
    table = {**FIRST, "rating": np.ones(len(FIRST["user"]))}
    with pytest.raises(DataError, match="only 0 items are liked by anybody"):
        shop(rating="rating").fit(table, verbose=0)


def test_a_mark_in_a_name_is_refused():
    table = {**BARE, "item": np.where(BARE["item"] == "item-0001", "a|b", BARE["item"]).astype(object)}
    with pytest.raises(DataError, match=r"item 'a\|b' holds '\|', which stands between the items of a list"):
        at.Recommender(**QUICK).fit(table, verbose=0)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"hold_out": "first"}, "hold_out must be one of time, last, some"),
        ({"learns": "sequences", "time": None}, "needs times; name their column with time="),
        ({"learns": "trees"}, "learns must be 'sequences', 'sets' or None"),
        ({"k": 0}, "k must be a whole number from 1 to 1,000"),
        ({"rating": "rating", "scale": [5, 1]}, "scale must be a lowest and a highest rating"),
        ({"rating": "rating", "scale": ["a", "b"]}, "scale must be a lowest and a highest rating"),
        ({"rating": "rating", "liked": 9.0}, "liked must lie on the scale"),
        ({"liked": 3.0}, "name their column with rating="),
        ({"item": "user"}, "column 'user' is named in user= and again in item="),
    ],
)
def test_choices_that_can_not_be_meant(choices, words):
    with pytest.raises(ValueError, match="Recommender: ") as caught:
        shop(**choices)
    assert words in str(caught.value)


# ---- the future stays out ------------------------------------------------------


def test_nothing_is_learned_from_after_what_is_held_out():
    app = shop()
    planted = {name: np.append(column, column[:1]) for name, column in FIRST.items()}
    planted["item"][-1] = "item-later"
    planted["time"][-1] = np.datetime64("2030-01-01")  # stands among the rows of the past, lies in the future
    earlier, later = app.split(app.record.check("test", planted)[0])
    assert earlier["time"].max() <= later["time"].min() and later["time"].max() == np.datetime64("2030-01-01")


def test_judging_by_the_past_of_what_was_learned_is_told(app):
    early = take(SHOP, slice(0, 300))
    stranger = {**early, "user": np.array([f"new {user}" for user in early["user"]], object)}
    found = [finding.code for finding in app.evaluate(stranger).findings]
    assert "learned-from-later" in found
    assert "learned-from-later" not in [finding.code for finding in app.evaluate(LATER).findings]


# ---- items that nobody took ------------------------------------------------------


def test_an_item_nobody_took_is_ranked_by_its_features(app, tmp_path):
    app.save(tmp_path / "model")
    again = at.load(tmp_path / "model")
    like = FIRST["category"][FIRST["item"] == "item-0001"][0], FIRST["price"][FIRST["item"] == "item-0001"][0]
    again.describe({"item": ["brand new"], "category": [like[0]], "price": [like[1]]})
    assert "brand new" in again.similar("item-0001", 15)["item"].tolist()
    everything = again.predict_one({"history": ["item-0003"], "candidates": ["brand new", "item-0030"]})
    assert "brand new" in everything["items"]
    own = again.predict_one({"history": ["brand new"]})
    assert own["source"] == "features" and own["because"][0] in ([], ["brand new"])
    again.save(tmp_path / "model")
    assert "brand new" in at.load(tmp_path / "model").learned_["items"]


def test_describe_needs_features(sets):
    with pytest.raises(ValueError, match="describe needs item_features="):
        sets.describe({"item": ["a"]})


def test_similar_and_embed(app):
    vectors = app.embed(["item-0001", "item-0002"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    like = app.similar("item-0001", 3)
    assert len(like) == 3 and "item-0001" not in like["item"].tolist() and like["score"].is_monotonic_decreasing
    with pytest.raises(DataError, match="item 'item-9999' is not known"):
        app.similar("item-9999")


# ---- learning on -----------------------------------------------------------------


def test_observing_changes_answers_without_learning(app, tmp_path):
    app.save(tmp_path / "model")
    again = at.load(tmp_path / "model")
    before = again.predict_one({"history": ["item-0001"]})
    assert again.predict_one({"user": "visitor"})["source"].startswith("popularity")
    again.observe({"user": ["visitor"], "item": ["item-0001"], "time": ["2024-08-01"]})
    after = again.predict_one({"user": "visitor"})
    assert after["source"] == "user" and after["items"] == before["items"]


@pytest.mark.parametrize("kind", ["app", "sets"])
def test_finetune_learns_new_people_and_items_and_keeps_the_old(kind, request, tmp_path):
    old = request.getfixturevalue(kind)
    old.save(tmp_path / "model")
    new = at.load(tmp_path / "model")
    fresh = {name: np.array(LATER[name]) for name in FIRST}
    fresh["user"] = np.array([f"new {user}" for user in fresh["user"]], object)
    fresh["item"] = np.where(fresh["item"] == "item-0002", "novelty", fresh["item"]).astype(object)
    fresh["item"][::5] = "novelty"
    new.finetune({name: fresh[name] for name in new.record}, epochs=2, verbose=0)
    assert "novelty" in new.learned_["items"][: new.learned_["learned"]]
    assert new.predict_one({"user": fresh["user"][3]})["source"] == "user"
    people = {"user": np.unique(FIRST["user"])[:40]}
    kept = [len(set(a) & set(b)) / 5 for a, b in zip(old.predict(people)["items"], new.predict(people)["items"])]  # noqa: B905
    assert np.mean(kept) > 0.5
    everything = new.predict({"user": np.unique(fresh["user"]), "k": [40] * len(np.unique(fresh["user"]))})["items"]
    assert "novelty" in {item for items in everything for item in items}
    if kind == "sets":
        assert "item-kNN alone" in set(new.evaluate({name: fresh[name] for name in new.record}).table.iloc[:, 0])


def test_a_shared_folder_holds_nobody_and_answers_histories(app, tmp_path):
    app.save(tmp_path / "shared", share=True)
    again = at.load(tmp_path / "shared")
    assert len(again.state_) == 0
    user = FIRST["user"][0]
    assert again.predict_one({"user": user})["source"] == "popularity (user is not known)"
    mine = FIRST["item"][FIRST["user"] == user].tolist()
    assert again.predict_one({"history": mine})["items"] == app.predict_one({"user": user})["items"]


@pytest.mark.parametrize("kind", ["app", "sets"])
def test_finetune_of_a_shared_folder_keeps_what_it_knew_of_items(kind, request, tmp_path):
    old = request.getfixturevalue(kind)
    old.save(tmp_path / "shared", share=True)
    new = at.load(tmp_path / "shared")
    few = {name: np.array(LATER[name][:60]) for name in FIRST}
    few["item"][::6] = "novelty"
    new.finetune({name: few[name] for name in new.record}, epochs=1, verbose=0)
    histories = {"history": [FIRST["item"][FIRST["user"] == user].tolist() for user in np.unique(FIRST["user"])[:40]]}
    pairs = zip(old.predict(histories)["items"], new.predict(histories)["items"], strict=True)
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in pairs]) > 0.5
    assert "novelty" in new.learned_["items"][: new.learned_["learned"]]


# ---- reports -----------------------------------------------------------------------


def test_a_report_ranks_everything_beside_simple_methods(app):
    report = app.evaluate(LATER, by=("region",))
    ways = report.table["ranked by"].tolist()
    assert ways[0] == "Recommender" and "popularity" in ways and "item-kNN alone" in ways
    assert {"NDCG@5", "recall@5", "hit rate@5", "MRR@5", "coverage"} <= set(report.metrics)
    assert report.metrics["NDCG@5"].value > 2 * report.table.set_index("ranked by")["NDCG@5"]["popularity"]
    assert any("EASE" in note for note in report.notes)
    assert any(way.startswith("EASE") for way in ways)
    assert list(report.groups) == ["region"]


def test_numbers_are_those_of_the_lists(app):
    queries, truth = app.make_trials(app.record.check("test", LATER)[0])
    answers = app.predict(queries)
    expected = []
    for items, taken in zip(answers["items"], truth["taken"], strict=True):
        right = [name for name in taken.split("|") if name]
        if right:
            gains = [1 / np.log2(place + 2) for place, item in enumerate(items[:5]) if item in right]
            expected.append(sum(gains) / sum(1 / np.log2(place + 2) for place in range(min(5, len(right)))))
    assert app.evaluate(LATER).metrics["NDCG@5"].value == pytest.approx(np.mean(expected), abs=1e-9)


def test_what_was_taken_before_is_no_truth(app):
    again = {name: np.concatenate([FIRST[name][:50], LATER[name]]) for name in FIRST}
    _, truth = app.make_trials(app.record.check("test", again)[0])
    _, expected = app.make_trials(app.record.check("test", LATER)[0])
    assert sum(len(t) for t in truth["taken"]) == sum(len(t) for t in expected["taken"])


def test_lines_of_items_are_read(tmp_path):
    lines = [" ".join([str(u), *FIRST["item"][FIRST["user"] == u]]) for u in np.unique(FIRST["user"])]
    file = tmp_path / "taken.txt.gz"
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    app = at.Recommender(**QUICK, time="place", hold_out="last")
    assert not [one for one in app.check(file, probe=False).findings if one.severity == "error"]
    earlier, later = app.split(app.record.check("test", app._read(file))[0])
    last = {user: FIRST["item"][FIRST["user"] == user][-1] for user in np.unique(FIRST["user"])}
    assert (
        dict(zip(later["user"], later["item"], strict=True)) == last
        and len(earlier["user"]) == len(FIRST["user"]) - 150
    )


def test_places_in_lines_are_no_strange_times(tmp_path):
    file = tmp_path / "taken.txt"
    file.write_text("".join(f"u{n} i{n % 7} i{(n + 1) % 7} i{(n + 3) % 7}\n" for n in range(40)))
    report = at.Recommender(time="place").check(file, probe=False)
    assert "times-near-1970" not in {finding.code for finding in report.findings}


def test_an_item_that_is_new_among_the_held_out_ones_alone_is_learned_too():
    app = at.Recommender(time="time", k=5, epochs=1, learns="sets")
    records = {name: np.array(FIRST[name]) for name in app.record}
    app.fit(records, verbose=0)
    fresh = {name: np.array(LATER[name]) for name in app.record}
    last = np.argsort(fresh["time"], kind="stable")[-3:]
    fresh["item"] = fresh["item"].astype(object)
    fresh["item"][last] = "novelty"
    app.finetune(fresh, epochs=1, verbose=0)
    assert "novelty" in app.learned_["items"][: app.learned_["learned"]]
    assert app.predict_one({"history": ["novelty"]})["source"] == "history"
