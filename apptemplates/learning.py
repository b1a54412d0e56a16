"""How any template learns: from a table to train and held-out parts, through the network, to the decision."""

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apptemplates import training
from apptemplates.contract import WEIGHT, Part
from apptemplates.data.fingerprint import describe, fingerprint, imagined, row_marks
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table, rows
from apptemplates.deploy import fast
from apptemplates.evaluation import assess
from apptemplates.policy import nearest


def learn(
    app: Any,
    table: Table,
    *,
    validation: Any,
    sample_weight: Any,
    clock: training.Clock,
    checkpoint: str | Path | None,
    callbacks: tuple[Any, ...],
    verbose: str | int,
) -> None:
    """Fits an unfitted template; see `Template.fit`."""
    table = weighted(app.name, table, sample_weight)
    app.columns_ = app._own_columns(table)
    train, valid = split_parts(app, table, validation)
    keras.utils.set_random_seed(app.seed)
    app.preprocessor_ = app.build_preprocessor(train)
    app.network_ = app.build_network(app.preprocessor_)
    files = [Path(checkpoint) / name for name in ("search.npz", "refit.npz")] if checkpoint else []
    print_ = fingerprint(app.get_params(), train.records, valid.records) if files else ""
    marks: list[Any] = [(file, print_) for file in files] or [None, None]
    common = {"rate": app.learning_rate, "clock": clock, "callbacks": callbacks, "verbose": verbose}
    refit = getattr(app, "refit", False)
    done = training.run(
        app.network_,
        app.make_batches(train, training=True),
        app.make_batches(valid, training=False),
        objective=app.objective(),
        epochs=app.passes(rows(train.records)),
        patience=app.patience,
        slack=app.slack,
        share=0.5 if refit else 1.0,
        checkpoint=marks[0],
        title=app.name,
        **common,
    )
    app.history_ = done.pop("history")
    app.learned_ = {"data": describe(train.records, valid.records), "seed": app.seed, "training": done}
    decide(app, train, valid)
    refit = refit and not done["stopped"].startswith("interrupted")
    if refit and (clock.limit == math.inf or clock.deadline() - clock.passed() > 0.2 * clock.limit):
        # the decision stays as the held-out rows judged it; the network behind it then learns from those rows too
        keras.utils.set_random_seed(app.seed)
        again = app.build_network(app.preprocessor_)
        try:
            training.run(
                again,
                app.make_batches(Part.joined(train, valid), training=True),
                None,
                objective=app.objective(),
                epochs=done["epochs"],
                patience=None,
                checkpoint=marks[1],
                title=f"{app.name}, with the held-out rows",
                **common,
            )
        except training.TrainingError:
            refit = False  # the network that was held against the other rows stays
        else:
            app.network_.set_weights(again.get_weights())
    done |= {"refit": refit, "minutes": clock.passed() / 60}
    for file in files:
        file.unlink(missing_ok=True)


def go_on(
    app: Any,
    table: Table,
    *,
    validation: Any,
    clock: training.Clock,
    epochs: int,
    rate: float,
    callbacks: tuple[Any, ...],
    verbose: str | int,
) -> Any:
    """A fitted template that went on from another, which is left as it was; see `Template.finetune`."""
    fresh = copy.copy(app)
    train, valid = split_parts(fresh, table, validation)
    train.teacher = app.network_
    fresh.network_ = copied(fresh.extend_network(app.network_, train.records))
    done = training.run(
        fresh.network_,
        fresh.make_batches(train, training=True),
        fresh.make_batches(valid, training=False),
        objective=fresh.objective(),
        rate=rate,
        epochs=epochs,
        patience=fresh.patience,
        slack=fresh.slack,
        clock=clock,
        callbacks=callbacks,
        title=f"{fresh.name}, fine-tuning",
        verbose=verbose,
    )
    fresh.history_ = done.pop("history")
    fresh.learned_ = {**app.learned_, "finetuned": {**done, "data": describe(train.records, valid.records)}}
    decide(fresh, train, valid)
    # the baseline stays what it was: the simple method does not go on learning
    fresh.golden_, fresh.baseline_ = app.golden_, app.baseline_
    if app.seen_ is not None:
        fresh.seen_ = np.union1d(app.seen_, fresh.seen_)
    return fresh


def weighted(owner: str, table: Table, weight: Any) -> Table:
    """The table with the weight of each row as a column, from numbers or the name of a column."""
    if weight is None:
        return table
    if isinstance(weight, str):
        if weight not in table:
            raise DataError(
                f"{owner}: sample_weight names column {weight!r}, which is not there{nearest(weight, table) or '.'}"
            )
        table = dict(table)
        weight = table.pop(weight)
    try:
        weight = np.asarray(weight, "float64").ravel()
    except (TypeError, ValueError):
        raise DataError(f"{owner}: sample_weight must hold numbers. Received: {str(weight)[:60]!r}.") from None
    if len(weight) != rows(table) or not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise DataError(
            f"{owner}: sample_weight must be a finite number >= 0 for each of {rows(table):,} rows, not all 0."
        )
    return {**table, WEIGHT: weight}


def split_parts(app: Any, table: Table, validation: Any) -> tuple[Part, Part]:
    """What is learned from and what is held out, each prepared with what was known before it."""
    first = checked(app, table)
    if validation is None:
        first, second = app.split(first)
    else:
        second = checked(app, app._read(validation))
        if WEIGHT in first:
            second[WEIGHT] = np.ones(rows(second))
    state = app.open_state({}) if app.state_ is None else app.state_
    train = Part(first, partial(app.prepare, state=state))
    if not train.inputs:  # prepared now: the state is about to grow
        raise DataError(f"{app.name}: no column is left to learn from; give the table more than names and ids.")
    state = app.remember(first, state)
    valid = Part(second, partial(app.prepare, state=state))
    # what a saved folder keeps and no more, so that a loaded template answers as this one does
    app.state_ = app.open_state(app.close_state(app.remember(second, state), share=False))
    return train, valid


def checked(app: Any, table: Table) -> Table:
    """The canonical columns of a table to learn from; refuses what learning would be meaningless with."""
    records, _ = app.record.check(app.name, table)
    if not rows(records):
        raise DataError(f"{app.name}: the data have no rows; give at least some dozens.")
    for finding in app._inspect(records):
        if finding.severity == "error":
            what, fix = (text[:1].lower() + text[1:] for text in (finding.message.rstrip("."), finding.fix))
            raise DataError(f"{app.name}: {what}; {fix}")
    return records | ({WEIGHT: table[WEIGHT]} if WEIGHT in table else {})


def decide(app: Any, train: Part, valid: Part) -> None:
    """Builds the decision and all that goes with it from a trained network."""
    app.model_ = app.build_decision(valid)
    app.baseline_ = app.fit_baseline(train)
    app.golden_ = imagined(train.inputs, app.seed)
    app.call_, app.fast_ = fast.batch(app.model_), None
    app.apply_policy()
    app.seen_ = row_marks({name: column for name, column in train.records.items() if name != WEIGHT})
    app.report_ = assess.judge(app, valid.records, valid.inputs, {})
    app.report_.title += ", on the rows held out while learning"


def copied(network: keras.Model) -> keras.Model:
    """A network with the same weights that can be trained without changing the first."""
    fresh = keras.models.clone_model(network)
    fresh.set_weights(network.get_weights())
    return fresh
