"""Templates as scikit-learn's classifiers: its own checks without an expected failure, and what people do with them."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import apptemplates as at
from apptemplates.data import synthetic_loans, synthetic_pictures
from apptemplates.estimator import TemplateClassifier

LOANS = pd.DataFrame(synthetic_loans.loans(500)).drop(columns=["customer", "sex", "age_group"])
X, Y = LOANS.drop(columns="not_paid_back"), np.where(LOANS.not_paid_back > 0, "late", "paid")


def named(check):
    return getattr(check, "func", check).__name__


OWN = {named(check): check for _, check in estimator_checks_generator(at.RiskScorer().estimator())}
# they learn several times over, or look at what others look at, too; the benchmark `estimator` runs all
LONG = {
    *("check_classifier_data_not_an_array", "check_estimators_dtypes", "check_classifiers_classes"),
    *("check_estimators_pickle", "check_pipeline_consistency", "check_supervised_y_2d", "check_dict_unchanged"),
    *("check_fit_score_takes_y", "check_estimators_overwrite_params", "check_dont_overwrite_parameters"),
    *("check_estimators_fit_returns_self", "check_readonly_memmap_input", "check_f_contiguous_array_estimator"),
    *("check_positive_only_tag_during_fit", "check_n_features_in_after_fitting", "check_classifiers_train"),
    *("check_fit2d_predict1d", "check_fit_check_is_fitted", "check_array_api_input"),
}


@pytest.mark.parametrize("name", sorted(OWN.keys() - LONG))
def test_scikit_learns_own_checks(name):
    OWN[name](at.RiskScorer(refit=False, epochs=8).estimator())


@pytest.fixture(scope="module")
def fitted():
    return at.RiskScorer(epochs=3, refit=False).estimator().fit(X, Y)


def test_words_gaps_and_labels_of_any_kind(fitted):
    assert X.dtypes.astype(str).nunique() > 1 and fitted.classes_.tolist() == ["late", "paid"]
    chances = fitted.predict_proba(X)
    assert chances.shape == (500, 2) and np.allclose(chances.sum(axis=1), 1)
    assert chances[Y == "late", 0].mean() > chances[Y == "paid", 0].mean() + 0.1
    assert set(fitted.predict(X)) <= {"late", "paid"} and fitted.score(X, Y) > 0.7
    assert fitted.template_.report_.metrics["ROC AUC"].value > 0.6
    own = fitted.template_.predict(X)["probability"]
    np.testing.assert_allclose(own, chances[:, 1], atol=2e-6)


def test_the_event_is_what_is_told_though_it_is_the_first_class():
    estimator = at.RiskScorer(event="late", epochs=3, refit=False).estimator().fit(X, Y)
    chances = estimator.predict_proba(X)
    np.testing.assert_allclose(estimator.template_.predict(X)["probability"], chances[:, 0], atol=2e-6)
    assert chances[Y == "late", 0].mean() > chances[Y == "paid", 0].mean() + 0.1


def test_pipelines_folds_and_searches():
    numbers = X.select_dtypes("number")
    piped = make_pipeline(StandardScaler(), at.RiskScorer(epochs=2, refit=False).estimator())
    scores = cross_val_score(piped, numbers, Y, cv=2, scoring="roc_auc")
    assert scores.shape == (2,) and (scores > 0.5).all()
    halves = [(np.arange(250), np.arange(250, 500))]
    search = GridSearchCV(at.RiskScorer(refit=False).estimator(), {"template__epochs": [1, 3]}, cv=halves)
    search.fit(X, Y)
    assert search.best_params_["template__epochs"] in (1, 3)
    assert search.best_estimator_.template_.epochs == search.best_params_["template__epochs"]


def test_a_clone_has_the_choices_and_nothing_learned(fitted):
    other = clone(fitted)
    assert other.template.epochs == 3 and other.template is not fitted.template and not hasattr(other, "template_")
    other.set_params(template__epochs=9)
    assert other.template.epochs == 9 and fitted.template.epochs == 3


def test_it_goes_through_pickle_and_deepcopy(fitted):
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_allclose(other.predict_proba(X), fitted.predict_proba(X), atol=2e-6)


def test_an_unfitted_template_keeps_what_it_observed():
    app, payments = at.FraudDetector.demo()
    app.observe(payments)
    other = pickle.loads(pickle.dumps(app))
    kept, before = other.close_state(other.state_, share=False), app.close_state(app.state_, share=False)
    assert not other.is_fitted and len(other.state_) > 0 and kept.keys() == before.keys()
    assert all(np.array_equal(kept[name], before[name]) for name in kept)
    assert other.get_params() == app.get_params()


def test_pictures_of_three_kinds():
    scans = synthetic_pictures.scans(90)
    pictures = np.stack(scans["image"]) if scans["image"].dtype == object else scans["image"]
    y = np.array(["a", "b", "c"])[np.arange(90) % 3]
    app = at.MedicalScanClassifier(patient=None, epochs=1, size=28, readers=1)
    estimator = app.estimator().fit(pictures, y)
    chances = estimator.predict_proba(pictures[:5])
    assert chances.shape == (5, 3) and np.allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert set(estimator.predict(pictures[:5])) <= {"a", "b", "c"}


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, np.resize(["a", "b", "c"], 500), "Only binary classification is supported.*has 3 classes"),
        (X, np.full(500, "a"), "needs two classes or more to learn from; y has 1 class"),
        (X.assign(label=1.0), Y, "RiskScorer: X holds the column 'label' that is to be learned; leave it to y"),
        (X, Y[:-1], "inconsistent numbers of samples"),
    ],
)
def test_what_does_not_fit_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        at.RiskScorer(epochs=1).estimator().fit(x, y)


def test_a_row_that_can_not_be_answered_is_named(fitted):
    bad = X.copy()
    bad.loc[7, "amount"] = np.inf
    with pytest.raises(ValueError, match=r"RiskScorer: row 7 of X can not be answered: column 'amount'"):
        fitted.predict(bad)


def test_lists_and_texts_have_no_estimator():
    for name in ("Recommender", "TextGenerator", "FaceVerifier"):
        with pytest.raises(TypeError, match=f"{name} has no estimator: its answers are no classes"):
            getattr(at, name)().estimator()
    assert isinstance(at.FraudDetector().estimator(), TemplateClassifier)
