"""The one base class: it runs the life of a template and knows no application."""

import dataclasses
import inspect
import threading
import typing
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from apptemplates.arguments import settle
from apptemplates.contract import WEIGHT, Answers, Contract, readable
from apptemplates.data import kinds, preflight
from apptemplates.data.readers import read
from apptemplates.data.schema import DataError, Schema, empty_column
from apptemplates.data.table import Table, concat, rows, take, to_frame
from apptemplates.inference import one
from apptemplates.policy import Policy, nearest

FREE = ("epochs", "batch_size", "learning_rate", "seed", "policy")  # choices that a fitted template can change
PART = 1024  # rows that are answered at a time, and pictures or sounds that are decoded


class NotFittedError(RuntimeError):
    """A template was asked before it was fitted or loaded."""


@dataclass(kw_only=True, eq=False)
class Template(Contract):
    """An application: it learns from records, answers queries and reports how well.

    Args:
        epochs: Passes over the training records, at most.
        batch_size: Records in one training step.
        learning_rate: The highest step size of the optimizer.
        seed: Seed of every random choice.
    """

    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 1e-3
    seed: int = 0

    # ---- choices -----------------------------------------------------------

    def __new__(cls, *given: Any, **arguments: Any) -> Self:
        if given:
            name = next(iter(inspect.get_annotations(cls)), "epochs")
            raise TypeError(
                f"{cls.__name__}: choices are given by name, such as {name}=, and data go to fit. "
                f"Received: a {type(given[0]).__name__} without a name."
            )
        known = [field.name for field in dataclasses.fields(cls) if field.init]
        for name in arguments:
            if name not in known:
                raise TypeError(
                    f"{cls.__name__}: there is no argument {name!r}{nearest(name, known)}; it takes {', '.join(known)}."
                )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            setattr(self, field.name, settle(self.name, field.name, hints[field.name], getattr(self, field.name)))
        policy = getattr(self, "policy", None)
        if policy is not None:
            self._check_policy(policy)
        self.columns_ = Schema()
        self.state_: Any = None
        self.before_: Any = None  # what was observed before the first `fit`, which every `fit` starts from
        self.seen_: np.ndarray | None = None  # marks of the records learned from
        self.valid_: Table = {}  # what the policy is decided by
        self.report_: Any = None
        self.kept_: Any = None  # a little of what `fit` held out and learned from, by which an export is judged
        self.history_: dict[str, list[float]] = {}
        self.fast_: Any = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return type(self).__name__

    def _repr_html_(self) -> str:
        from apptemplates.evaluation.template_page import fragment

        return fragment(self)

    def get_params(self) -> dict[str, Any]:
        """The choices as a dict of plain values, from which the same template can be made."""
        found = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            found[field.name] = (
                value.given() if isinstance(value, Policy) else list(value) if isinstance(value, tuple) else value
            )
        return found

    def set_params(self, **changes: Any) -> Self:
        """Changes choices; of a fitted template only those that what it learned does not depend on.

        Raises:
            ValueError: A fitted template learned with this choice; `clone(...)` gives an unfitted one with another.
        """
        fresh = self.clone(**changes)
        for name in changes if self.is_fitted else ():
            if name not in FREE and getattr(fresh, name) != getattr(self, name):
                raise ValueError(
                    f"{self.name}: {name} can not be changed any more, since what it learned depends on it; "
                    f"use clone({name}=...) and fit that."
                )
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(fresh, field.name))
        if "policy" in changes:
            self._apply_policy()
        return self

    def clone(self, **changes: Any) -> Self:
        """The same choices, with changes, and nothing learned."""
        return type(self)(**{**self.get_params(), **changes})

    def __sklearn_clone__(self) -> Self:
        return self.clone()

    def __copy__(self) -> Self:
        fresh = object.__new__(type(self))
        fresh.__dict__.update(self.__dict__)
        return fresh

    def __reduce__(self) -> tuple[Any, ...]:
        from apptemplates.deploy import packed

        return packed.reduced(self)

    def set_policy(self, **arguments: Any) -> Self:
        """Decides anew, without learning anew: the arguments are those of `Policy`; what is not named falls away."""
        policy = Policy(**arguments)
        self._check_policy(policy)
        self.policy: Any = policy
        self._apply_policy()
        return self

    def _check_policy(self, policy: Policy) -> None:
        policy.check(self.name, self.policy_arguments, self.cost_columns())
        self.refuse_policy(policy)

    def _apply_policy(self) -> None:
        if self.is_fitted:
            self.apply_policy()
            self.fast_ = None  # the fast form holds the decision, too

    # ---- learning ----------------------------------------------------------

    @property
    def is_fitted(self) -> bool:
        return getattr(self, "model_", None) is not None

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise NotFittedError(f"{self.name} has not learned yet: call fit(records), or apptemplates.load(folder).")

    def _read(self, source: Any, labels: Any = None) -> Table:
        return read(source, labels, getattr(self, self.target, None) or "label", media=self._media, prose=self._prose)

    @property
    def _media(self) -> str | None:
        return next((name for name, field in self.record.items() if field.kind in ("image", "sound")), None)

    @property
    def _prose(self) -> str | None:
        return next((name for name, field in self.record.items() if field.kind == "passage"), None)

    def _own_columns(self, table: Table) -> Schema:
        """The columns that no role names, with the kinds they seem to be of."""
        named = {*self.record, *getattr(self, "ignore", ()), WEIGHT}
        return Schema.of(kinds.infer(table, skip=named, override=getattr(self, "kinds", None)))

    def _inspect(self, records: Table) -> list[preflight.Finding]:
        role = getattr(self, self.target, None)
        return preflight.inspect(records, self.record, label=role, time=getattr(self, "time", None))

    def fit(
        self,
        source: Any,
        labels: Any = None,
        *,
        validation: Any = None,
        sample_weight: Any = None,
        minutes: float | None = None,
        checkpoint: str | Path | None = None,
        diagnose: bool = False,
        callbacks: Iterable[Any] = (),
        verbose: str | int = "auto",
    ) -> Self:
        """Learns from records.

        Args:
            source: Whatever `apptemplates.read` takes: a path, a DataFrame, a dict of columns, arrays, ...
            labels: (n,) for a source that does not hold them itself.
            validation: Records to be judged by while learning; by default a part of the source is held out.
            sample_weight: (n,) float >= 0, or the name of a column.
            minutes: Wall clock for everything after the import of TensorFlow; the best weights so far are kept.
            checkpoint: A folder that survives a crash: the same call goes on from its last epoch.
            diagnose: Whether to tell, once it has learned, what more records would bring and, of classes, which labels
                look wrong: in `report_` and every later report. It takes some seconds; see `evaluation.diagnosis`.
            callbacks: More Keras callbacks.
            verbose: "auto" shows a live line in a terminal or a notebook; 0 nothing; 1 the line.

        Returns:
            Itself, fitted; `history_` holds the losses.

        Raises:
            DataError: The data can not be learned from; one sentence says why. What was learned before stays.
        """
        from apptemplates import learning, training

        clock = training.Clock(minutes)
        self._check_policy(getattr(self, "policy", None) or Policy())
        fresh = self.clone()  # learns apart, so that a failure leaves this one as it was
        fresh.before_ = fresh.state_ = self.before_
        learning.learn(
            fresh,
            fresh._read(source, labels),
            validation=validation,
            sample_weight=sample_weight,
            clock=clock,
            checkpoint=checkpoint,
            diagnose=diagnose,
            callbacks=tuple(callbacks),
            verbose=verbose,
        )
        return self._become(fresh)

    def finetune(
        self,
        source: Any,
        labels: Any = None,
        *,
        validation: Any = None,
        minutes: float | None = None,
        epochs: int | None = None,
        learning_rate: float | None = None,
        callbacks: Iterable[Any] = (),
        verbose: str | int = "auto",
        **changes: Any,
    ) -> Self:
        """Goes on learning from more records, starting from what it knows; what it knew is kept by distillation.

        Args:
            source, labels, validation, minutes, callbacks, verbose: As for `fit`.
            epochs: Passes at most; a third of those of `fit` by default.
            learning_rate: A fifth of that of `fit` by default.
            changes: Choices to go on with instead of those it was made with, as far as what it learned can be brought
                along (`changeable`): of pictures `size`.

        Raises:
            DataError: The records do not fit what was learned, or can not be learned from.
            ValueError: A change can not be made.
            NotFittedError: There is nothing to go on from.
        """
        from apptemplates import learning, training

        self._check_fitted()
        if self.network_ is None:
            raise NotFittedError(f"{self.name}: this folder was saved without its network; fit anew instead.")
        fresh = learning.go_on(
            self,
            self._changed(changes),
            self._read(source, labels),
            validation=validation,
            clock=training.Clock(minutes),
            epochs=epochs or -(-self.epochs // 3),
            rate=learning_rate or self.learning_rate / 5,
            callbacks=tuple(callbacks),
            verbose=verbose,
        )
        return self._become(fresh)

    def _changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy that goes on with other choices."""
        wished, fresh = self.clone(**changes), copy(self)
        for name in changes:
            if name not in self.changeable:
                known = f"changes {', '.join(self.changeable)} alone" if self.changeable else "changes no choice"
                raise ValueError(
                    f"{self.name}: finetune {known}, since the rest of what it learned depends on {name}; use "
                    f"clone({name}=...) and fit that."
                )
            setattr(fresh, name, getattr(wished, name))
        return fresh

    def _become(self, fresh: Self) -> Self:
        self.__dict__.pop("_query", None)
        self.__dict__.update(fresh.__dict__)
        return self

    # ---- answering ---------------------------------------------------------

    def predict(self, source: Any) -> Any:
        """Answers to queries.

        Args:
            source: Whatever `apptemplates.read` takes; the columns of `query`, others are ignored.

        Returns:
            A `pandas.DataFrame`, one row a query in the order given; a query that can not be answered has empty values
            and the reason in the column `problem`.

        Raises:
            DataError: A column is missing, or there are no rows.
        """
        frame = to_frame(concat(list(self._parts(source))))
        for name, field in self.answer.items():
            if field.kind == "flag" and frame[name].dtype != bool:  # some are missing
                frame[name] = frame[name].astype("boolean")
        return frame

    def _parts(self, source: Any) -> Iterator[Answers]:
        """The answers of `predict` as they are known, some rows at a time, in order."""
        self._check_fitted()
        first = next(iter(self.query))
        table = read(source, media=first if self._media else None, prose=first if self._prose else None)
        # pictures and sounds are decoded a part at a time, so that memory stays bounded; other rows may hang together
        step = PART if self._media else rows(table)
        for start in range(0, rows(table), step):
            yield from self._answered(take(table, slice(start, start + step)))

    def _answers(self, table: Table) -> Answers:
        return concat(list(self._answered(table)))

    def _answered(self, table: Table) -> Iterator[Answers]:
        """Answers to a table, which is prepared as a whole, `PART` rows at a time."""
        queries, problems = self.query.check(self.name, table, rows="mark")
        if not len(problems):
            raise DataError(f"{self.name}: there are no rows to predict; give at least one query.")
        good = problems == ""
        inputs: Table = {}
        if good.any():
            inputs, unread = readable(self.prepare(take(queries, good), self.state_))
            if unread is not None:
                problems[good] = unread
                good = problems == ""
        done = 0
        for start in range(0, len(good), PART):
            here = good[start : start + PART]
            asked = slice(done, done := done + int(here.sum()))
            found = self.respond(take(inputs, asked), self.call_, self.state_) if here.any() else {}
            if not here.all():
                for name, field in self.answer.items():
                    whole = empty_column(field, len(here))
                    if name in found:
                        whole[here] = found[name]
                    found[name] = whole
            found["problem"] = problems[start : start + PART]
            yield {name: found[name] for name in self.answer}

    def predict_one(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one query, in milliseconds; safe to call from many threads.

        Args:
            query: Values by column name.

        Returns:
            A dict with the columns of `answer`.

        Raises:
            DataError: The query can not be answered; one sentence says why.
        """
        self._check_fitted()
        inputs, unread = readable(self.prepare(one.asked(self.name, self._query, query), self.state_))
        if unread is not None:
            raise DataError(f"{self.name}: {unread[0]}")
        return one.told(self.respond(inputs, self._fast(), self.state_))

    @cached_property
    def _query(self) -> Schema:
        return self.query  # made once: building a schema takes longer than an answer

    def _fast(self) -> Any:
        fast = self.fast_
        if fast is None:
            from apptemplates.deploy.fast import Fast

            with self._lock:
                fast = self.fast_
                if fast is None:
                    fast = self.fast_ = Fast(self.model_, None, self.golden_, self.call_(self.golden_))
        return fast

    def estimator(self) -> Any:
        """This template, unfitted, as a classifier of scikit-learn; see `estimator.TemplateClassifier`.

        Raises:
            TypeError: The answers are no classes.
        """
        if type(self).chances is Contract.chances:
            raise TypeError(f"{self.name} has no estimator: its answers are no classes that scikit-learn could judge.")
        from apptemplates.estimator import TemplateClassifier

        return TemplateClassifier(self.clone())

    # ---- judging -----------------------------------------------------------

    def evaluate(self, source: Any, labels: Any = None, *, by: str | Iterable[Any] = ()) -> Any:
        """How good the answers to these records are.

        Args:
            source: Records with their truth; whatever `apptemplates.read` takes.
            labels: (n,) for a source that does not hold them itself.
            by: Columns, or pairs of columns, by whose groups the numbers are given too.

        Returns:
            A `Report`: metrics with 95 % intervals, baseline, groups, calibration, cost, latency, figures, a verdict.
        """
        from apptemplates.evaluation import assess

        self._check_fitted()
        return assess.assess(self, self._read(source, labels), (by,) if isinstance(by, str) else tuple(by))

    def explain(self, source: Any, labels: Any = None) -> Any:
        """What decided the answers: a `Report` with a table, figures and how far to trust them.

        It can be trusted where what it names first undoes the answer when it is taken away and makes it when it is
        brought in, sooner than a random order does, and where it becomes another one when the weights are shuffled.
        """
        from apptemplates.evaluation import randomised

        self._check_fitted()
        table = self._read(source, labels)
        schema = self.record if all(name in table for name in self.record) else self.query
        records, problems = schema.check(self.name, table, rows="mark")
        if not (problems == "").any():
            raise DataError(
                f"{self.name}: no row can be explained; {problems[0] if len(problems) else 'there are none'}."
            )
        known = take(records, problems == "")
        report = self.make_explanation(known)
        randomised.check(self, report, known)
        return report

    def check(self, source: Any, labels: Any = None, *, validation: Any = None, probe: bool = True) -> Any:
        """What is wrong or odd with data before anything is learned from them: a `Report` with `findings`.

        Args:
            source, labels, validation: As for `fit`; what stands on both sides of the split is found.
            probe: Whether to tell, from a short fit of a part of the data, how long `fit` would take, with how much
                memory, and what it is likely to come to. It takes some seconds.
        """
        from apptemplates.evaluation import assess

        return assess.preflight(self, source, labels, probe, validation)

    # ---- keeping -----------------------------------------------------------

    def save(self, folder: str | Path, *, share: bool = False, licence: str | None = None) -> Path:
        """Writes everything into one folder; an interrupted save leaves what was there.

        Args:
            folder: A new one, or one that holds a saved template, which is replaced.
            share: Leave out every record of a third party (such as the payment history).
            licence: Of the data that were learned from, and what it allows; stands in the model card.
        """
        from apptemplates.deploy import archive

        self._check_fitted()
        self._fast()
        if licence is not None:
            self.learned_["licence"] = licence
        return archive.save(self, folder, share=share)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The template that `save` wrote.

        Raises:
            ArchiveError: The folder is damaged, foreign, changed, or of another template.
        """
        from apptemplates.deploy import archive

        return archive.load(folder, cls)

    def export(
        self,
        path: str | Path,
        form: str = "saved_model",
        quantize: str | None = None,
        max_drop: float = 0.01,
        records: Any = None,
        calibration: Any = None,
    ) -> Path:
        """Writes the model in a form that other programs run; opened again and compared before it counts.

        Args:
            path: A new place.
            form: "saved_model", "litert" or "onnx".
            quantize: Of "litert": "int8", "full_int8", "float16", or "auto" for the smallest within `max_drop`.
            max_drop: Largest loss of the headline metric that a form may cost; of one above 1 as a share of it.
            records: Held-out ones with their truth, by which that loss is measured; by default some of those that
                `fit` or `finetune` held out in this process. A loaded folder keeps none.
            calibration: Training records, by which "full_int8" sets its ranges; by default some of those learned from.

        Raises:
            ValueError: There is no such form, or it can not be quantised so.
            ArchiveError: The place is taken, the graph has no such form, or it answers differently.
        """
        from apptemplates.deploy import export

        self._check_fitted()
        return export.export(self, path, form, quantize, max_drop, records, calibration)

    def eject(self, folder: str | Path, *, share: bool = False) -> Path:
        """Writes this very model as source of one's own, which needs Keras, TensorFlow, NumPy and pandas alone.

        Args:
            folder: A new place. It gets `model.py` (the graph as code, with `weights.npz`), `data.py`, `train.py`,
                `predict.py`, `test_model.py` and a README; pictures need Pillow, too.
            share: Leave out every record of a third party, as in `save`.

        Raises:
            ArchiveError: The place is taken, or the model that the source builds answers differently.
            DataError: A layer or an operation of the graph has no source.
        """
        from apptemplates.deploy import eject

        self._check_fitted()
        return eject.eject(self, folder, share)

    def pack_state(self, share: bool) -> Table:
        """Everything that `state.npz` holds, by name."""
        parts = {"state": self.close_state(self.state_, share), "baseline": self.baseline_, "valid": self.valid_}
        if share:
            parts["valid"] = {name: column for name, column in self.valid_.items() if not name.startswith("record ")}
        elif self.seen_ is not None:
            parts["seen"] = {"marks": self.seen_}
        return {f"{part}/{name}": column for part, arrays in parts.items() for name, column in arrays.items()}

    def unpack(
        self,
        columns: Schema,
        state: Table,
        model: Any,
        network: Any,
        content: bytes | None,
        learned: dict,
        report: Any,
        golden: Table,
        answers: Table,
    ) -> Self:
        """Becomes the fitted template whose parts these are; the counterpart of `pack_state` and the archive."""
        from apptemplates.deploy.fast import Fast, batch

        self.columns_, self.model_, self.network_, self.learned_, self.report_ = (
            columns,
            model,
            network,
            learned,
            report,
        )
        self.preprocessor_ = model.get_layer("preprocessor")
        parts: dict[str, Table] = {"state": {}, "baseline": {}, "valid": {}, "seen": {}}
        for key, column in state.items():
            part, _, name = key.partition("/")
            parts[part][name] = column
        self.state_, self.baseline_, self.valid_ = self.open_state(parts["state"]), parts["baseline"], parts["valid"]
        self.seen_ = parts["seen"].get("marks")
        self.golden_, self.history_ = golden, {}
        self.call_ = batch(model)
        self.fast_ = None if content is None else Fast(model, content, golden, answers)
        return self
