"""How a notebook shows a template."""

import apptemplates as at


def test_a_template_shows_its_choices_and_how_good_it_is():
    fresh = at.FraudDetector(label="<b>", amount=None, policy=at.Policy(alarm_rate=0.01))
    shown = fresh._repr_html_()
    assert "label=&#x27;&lt;b&gt;&#x27;" in shown and "<b>" not in shown
    assert "policy={&#x27;alarm_rate&#x27;: 0.01}" in shown and "windows" not in shown
    assert "nothing yet: call fit" in shown
    assert "the usual ones" in at.Recommender()._repr_html_()


def test_a_fitted_one_shows_its_headline_beside_the_simple_method():
    app = at.load("fraud_detector")
    shown = app._repr_html_()
    records = f"{app.learned_['data']['rows']:,} records"
    assert records in shown and "average precision" in shown and app.baseline_name in shown
