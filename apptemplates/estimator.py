"""A template as a classifier of scikit-learn: for pipelines, cross-validation and searches for the best choices."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from apptemplates.contract import readable
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table

DIGITS = 6  # of a chance: farther back it hangs on which rows are asked together
FEWEST = 40  # rows: fewer are learned from several times over, since scikit-learn has its classifiers learn from any


class TemplateClassifier(ClassifierMixin, BaseEstimator):
    """Learns `y` from `X` as a template does; made by `template.estimator()`.

    A table: a DataFrame, whose columns keep their names and may hold words, dates and gaps, or an array (n, d) of
    numbers, whose columns are called x0, x1, ... Pictures and sounds: an array with a row a record.

    Args:
        template: An unfitted template; a search reaches its choices as `template__epochs` and so on.

    Attributes:
        classes_: (c,) the labels, sorted.
        template_: The fitted template, with its report, policy and everything else.

    Example:
        >>> import apptemplates as at
        >>> estimator = at.RiskScorer(epochs=3).estimator()
        >>> estimator.fit([[0.1], [0.2], [0.8], [0.9]] * 20, ["low", "low", "high", "high"] * 20).classes_.tolist()
        ['high', 'low']
    """

    def __init__(self, template: Any) -> None:
        self.template = template

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = not self._of_tables
        tags.input_tags.allow_nan = self._of_tables
        return tags

    @property
    def _of_tables(self) -> bool:
        return self.template._media is None

    def fit(self, X: Any, y: Any) -> Self:
        """Learns from records.

        Args:
            X: A DataFrame, or an array with a row a record.
            y: (n,) labels; of a table two different ones.

        Raises:
            ValueError: X and y do not fit each other, or can not be learned from.
        """
        X = self._read(X, True)
        if y is None:
            raise ValueError(f"This {type(self).__name__} requires y to be passed, but the target y is None.")
        y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if self._of_tables and len(self.classes_) > 2:
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(y)}: "
                f"{self.template.name} tells one thing from all others, and y has {len(self.classes_)} classes."
            )
        if len(y) < 2:
            raise ValueError(f"{self.template.name} can not learn from n_samples=1; give at least some dozens.")
        if len(self.classes_) < 2:
            raise ValueError(f"{self.template.name} needs two classes or more to learn from; y has 1 class.")
        event = getattr(self.template, "event", None)
        app = self.template.clone(**({} if event is None else {"event": None}))
        label = getattr(app, app.target)
        table = self._table(X)
        if label in table:
            raise ValueError(f"{app.name}: X holds the column {label!r} that is to be learned; leave it to y.")
        if self._of_tables:  # of two classes the event, where it is named, else the later one
            positive = event if event in self.classes_ else self.classes_[1]
            self.words_ = np.where(self.classes_ == positive, "1", "0")
            table[label] = (y == positive).astype(float)
        else:
            self.words_ = self.classes_.astype(str)
            table[label] = y.astype(str).astype(object)
        some = np.arange(len(y)) if len(y) >= FEWEST else np.resize(np.arange(len(y)), FEWEST)
        self.template_ = app.fit({name: column[some] for name, column in table.items()}, verbose=0)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The chance of each class of `classes_`, (n, c) float64 of six digits; rows sum to 1.

        Raises:
            ValueError: A row can not be answered.
        """
        check_is_fitted(self)
        app, table = self.template_, self._table(self._read(X, False))
        queries, problems = app.query.check(app.name, table, rows="mark")
        inputs, unread = readable(app.prepare(queries, app.state_)) if not problems.any() else ({}, problems)
        if unread is not None:
            row = int(np.flatnonzero(unread)[0])
            raise DataError(f"{app.name}: row {row} of X can not be answered: {unread[row]}")
        names, chances = app.chances(inputs)
        kept = chances[:, [names.index(word) for word in self.words_]].astype("float64")
        kept = kept.round(DIGITS)
        return np.asarray(kept / kept.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class (n,) of each row; what the policy decides is told by `template_.predict`."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def _read(self, X: Any, first: bool) -> Any:
        """X as scikit-learn checks it; the columns of a DataFrame are left to the template."""
        if isinstance(X, pd.DataFrame) and self._of_tables:
            return validate_data(self, X, reset=first, skip_check_array=True)
        finite = "allow-nan" if self._of_tables else True
        return validate_data(self, X, reset=first, allow_nd=not self._of_tables, ensure_all_finite=finite)

    def _table(self, X: Any) -> Table:
        """The columns of X by name."""
        if not self._of_tables:
            return {self.template._media: X}
        if isinstance(X, pd.DataFrame):
            return {str(name): X[name].to_numpy() for name in X}
        return {f"x{place}": X[:, place] for place in range(X.shape[1])}
