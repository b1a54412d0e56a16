"""How any template learns: from a table to train and held-out parts, through the network, to the decision."""

import copy
import math
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apptemplates import training
from apptemplates.contract import WEIGHT, Contract, Part, readable
from apptemplates.data import crossings, preflight, traits
from apptemplates.data.fingerprint import describe, fingerprint, row_marks
from apptemplates.data.schema import DataError
from apptemplates.data.table import Table, rows
from apptemplates.deploy import archive, fast, receipts
from apptemplates.evaluation import assess, diagnosis, suspects
from apptemplates.policy import nearest

DIAGNOSIS = 0.5  # the time that a diagnosis may take, of that of learning
# how a training ended that needed no gradients
CLOSED: dict[str, Any] = {"history": {}, "epochs": 0, "seconds": 0.0, "stopped": "learned in closed form"}


def learn(
    app: Any,
    table: Table,
    *,
    validation: Any,
    sample_weight: Any,
    clock: training.Clock,
    checkpoint: str | Path | None,
    diagnose: bool,
    callbacks: tuple[Any, ...],
    verbose: str | int,
) -> None:
    """Fits an unfitted template; see `Template.fit`."""
    if diagnose and type(app).frozen is Contract.frozen and type(app).growing is Contract.growing:
        raise DataError(f"{app.name}: diagnose tells nothing of its records; call fit without it.")
    table = weighted(app.name, table, sample_weight)
    app.columns_ = app._own_columns(table)
    app.learned_ = {"seed": app.seed}
    train, valid = split_parts(app, table, validation)
    refit = getattr(app, "refit", False)
    common = {"clock": clock, "callbacks": callbacks, "verbose": verbose}
    ways, tried, kept, marks = app.ways(train), {}, None, []
    for place, way in enumerate(ways):
        one = copy.copy(app)
        one.learned_ = copy.deepcopy(app.learned_) | ({"kind": way} if way else {})
        keras.utils.set_random_seed(one.seed)
        one.preprocessor_ = one.build_preprocessor(train)
        one.network_ = one.build_network(one.preprocessor_)
        files = checkpoints(one, train, valid, checkpoint, f"{way} " if len(ways) > 1 else "")
        marks += files
        share = 1 / (len(ways) - place + bool(refit) + DIAGNOSIS * diagnose)
        search(one, train, valid, files, share, way if len(ways) > 1 else "", common)
        tried[way] = one.worth()
        if kept is None or tried[way] > kept.worth():
            kept, again = one, files[len(files) // 2 :]
        if interrupted(one):
            refit = False
            break
    app.__dict__.update(kept.__dict__)
    if len(tried) > 1:
        app.learned_["tried"] = tried
    if diagnose:
        share = DIAGNOSIS / (DIAGNOSIS + bool(refit))
        app.learned_["diagnosis"] = diagnosed(app, train, valid, clock.deadline(share), clock)
    decide(app, train, valid, validation is not None)
    if refit and (clock.limit == math.inf or clock.deadline() - clock.passed() > 0.2 * clock.limit):
        app.kept_.again = refit = learn_anew(app, train, valid, again, common)
    if diagnose and app.learned_["diagnosis"]["suspects"]:
        row, chance = zip(*app.learned_["diagnosis"]["suspects"], strict=True)
        app.report_.suspects = suspects.listed(np.array(row), np.array(chance), train.records)
    app.learned_["training"] |= {"refit": refit, "minutes": clock.passed() / 60}
    for file, _ in filter(None, marks):
        file.unlink(missing_ok=True)


def diagnosed(app: Any, train: Part, valid: Part, until: float, clock: training.Clock) -> dict[str, Any]:
    """What refits on frozen features tell of the training records, without any record; see `evaluation.diagnosis`."""
    growing = app.growing(train, valid)
    if growing is not None:
        return diagnosis.grow(growing, app.seed, until - clock.passed())
    given, held_out = app.frozen(train), app.frozen(valid)
    if given is None or held_out is None:
        return diagnosis.nothing()
    return diagnosis.diagnose(given, held_out, app.seed, until - clock.passed())


def search(
    app: Any, train: Part, valid: Part, marks: list[Any], share: float, way: str, common: dict[str, Any]
) -> None:
    """Teaches a new network by the train part, held against the valid part, and builds its decision."""
    batches = app.make_batches(train, training=True)
    held_out = app.make_batches(valid, training=False)
    passes = [max(1, round(stage.epochs * app.passes(rows(train.records)))) for stage in app.stages()]
    what = f", {way}" if way else ""
    app.history_, done = taught(app, app.network_, batches, held_out, passes, marks, share, what, common)
    app.learned_ |= {"data": describe(train.records, valid.records), "training": done}
    app.model_ = app.build_decision(valid)


def learn_anew(app: Any, train: Part, valid: Part, marks: list[Any], common: dict[str, Any]) -> bool:
    """Teaches the network anew by both parts, if that ends well; the decision stays as the held-out rows judged it."""
    network, before, done = app.network_, app.network_.get_weights(), False
    keras.utils.set_random_seed(app.seed)
    new = app.build_network(app.preprocessor_)
    for variable, value in zip(network.variables, new.variables, strict=True):
        variable.assign(value)
    both = Part.joined(train, valid)
    batches, passes = app.make_batches(both, training=True), app.learned_["training"]["passes"]
    try:
        taught(app, network, batches, None, passes, marks, 1.0, ", with the held-out rows", common, again=True)
        done = True
    except training.TrainingError:
        pass
    finally:
        if not done:  # what was held against the other rows stays
            network.set_weights(before)
    if done:
        app.finish(both)
    return done


def interrupted(app: Any) -> bool:
    """Whether somebody stopped the training."""
    return bool(app.learned_["training"]["stopped"].startswith("interrupted"))


def taught(
    app: Any,
    network: keras.Model,
    batches: Any,
    held_out: Any | None,
    passes: list[int],
    marks: list[Any],
    share: float,
    what: str,
    common: dict[str, Any],
    again: bool = False,
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """The losses of every stage, and how the training ended; the weights are in the network.

    Args:
        passes: Epochs of each stage.
        share: The part of the time left that all stages may use.
        what: Added to the title.
        again: Whether it went through these stages before.
    """
    clock, compiled = common["clock"], again and len(app.stages()) == 1
    deadline = clock.deadline(share)
    history: dict[str, list[float]] = {}
    done: dict[str, Any] = {}
    used: list[int] = []
    for place, (stage, epochs) in enumerate(zip(app.stages(), passes, strict=False)):
        if place and (done["stopped"].startswith("interrupted") or deadline <= clock.passed()):
            break
        if stage.ready is not None:
            stage.ready(network)
        # the time left is shared by the stages to come, each by its passes
        until = clock.passed() + (deadline - clock.passed()) * epochs / sum(passes[place:])
        done = training.run(
            network,
            batches,
            held_out,
            objective=None if compiled else app.objective(),
            rate=app.learning_rate * stage.rate,
            epochs=epochs,
            patience=app.patience if held_out is not None else None,
            slack=app.slack,
            deadline=until,
            checkpoint=marks[place],
            title=app.name + what,
            **common,
        )
        used.append(done["epochs"])
        for name, values in done.pop("history").items():
            history.setdefault(name, []).extend(values)
    return history, done | {"passes": used}


def checkpoints(app: Any, train: Part, valid: Part, folder: str | Path | None, way: str) -> list[Any]:
    """File and fingerprint of each stage of the search and of the refit; Nones without a folder."""
    names = [f"{way}{what}{place or ''}.npz" for what in ("search", "refit") for place in range(len(app.stages()))]
    if not folder:
        return [None] * len(names)
    observed = {} if app.before_ is None else app.close_state(app.before_, share=False)
    mark = fingerprint(app.get_params(), train.records, valid.records, observed)
    return [(Path(folder) / name, mark) for name in names]


def go_on(
    app: Any,
    fresh: Any,
    table: Table,
    *,
    validation: Any,
    clock: training.Clock,
    epochs: int,
    rate: float,
    callbacks: tuple[Any, ...],
    verbose: str | int,
) -> Any:
    """A fitted template that went on from another, which is left as it was; see `Template.finetune`.

    Args:
        app: That other one.
        fresh: A copy of it, with the choices to go on with.
        table, validation, clock, epochs, rate, callbacks, verbose: As for `finetune`.
    """
    fresh.learned_ = copy.deepcopy(app.learned_)
    train, valid = split_parts(fresh, table, validation, app.enough_to_go_on)
    train.teacher = app.network_
    fresh.network_ = copied(fresh.extend_network(app.network_, train))
    batches, done = fresh.make_batches(train, training=True), dict(CLOSED)
    if batches is not None:
        held_out = fresh.make_batches(valid, training=False)
        done = training.run(
            fresh.network_,
            batches,
            held_out,
            objective=fresh.objective(),
            rate=rate,
            epochs=epochs,
            patience=fresh.patience if held_out is not None else None,
            slack=fresh.slack,
            clock=clock,
            callbacks=callbacks,
            title=f"{fresh.name}, fine-tuning",
            verbose=verbose,
        )
    fresh.history_ = done.pop("history")
    fresh.learned_["finetuned"] = {**done, "data": describe(train.records, valid.records)}
    fresh.model_ = fresh.build_decision(valid)
    decide(fresh, train, valid, validation is not None)
    # the baseline stays what it was: the simple method does not go on learning
    if fresh.get_params() == app.get_params():
        fresh.baseline_ = app.baseline_
        if type(app).make_golden is Contract.make_golden:  # drawn like the first records, which were more
            fresh.golden_ = app.golden_
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


def split_parts(app: Any, table: Table, validation: Any, accepted: Collection[str] = ()) -> tuple[Part, Part]:
    """What is learned from and what is held out, each prepared with what was known before it."""
    first = checked(app, table, accepted)
    if validation is None:
        first, second = app.split(first)
    else:
        second = checked(app, app._read(validation), accepted)
        if WEIGHT in first:
            second[WEIGHT] = np.ones(rows(second))
    state = app.open_state({}) if app.state_ is None else app.state_
    train = Part.of(app, first, state)
    if not train.inputs:
        raise DataError(f"{app.name}: no column is left to learn from; give the table more than names and ids.")
    state = app.remember(train.records, state)
    valid = Part.of(app, second, state)
    for part, what in ((train, "learn from"), (valid, "hold out")):
        if not rows(part.records):
            raise DataError(f"{app.name}: no record is left to {what}; {(part.left_out or ('there are none.',))[0]}")
    # what a saved folder keeps and no more, so that a loaded template answers as this one does
    app.state_ = app.open_state(app.close_state(app.remember(valid.records, state), share=False))
    tell_left_out(app, [*train.left_out, *valid.left_out])
    return train, valid


def tell_left_out(app: Any, why: list[str], shown: int = 3) -> None:
    """Says which records could not be read, once, and keeps it for the report."""
    app.learned_.pop("left out", None)
    if why:
        app.learned_["left out"] = {"records": len(why), "why": why[:20]}
        more = f" ... and {len(why) - shown:,} more" if len(why) > shown else ""
        print(f"{app.name}: {len(why):,} records were left out: {' '.join(why[:shown])}{more}", file=sys.stderr)


def checked(app: Any, table: Table, accepted: Collection[str] = ()) -> Table:
    """The canonical columns of a table to learn from; refuses what learning would be meaningless with.

    Args:
        app: The template that learns.
        table: As it was read.
        accepted: Codes of findings that are no reason to refuse, since something was learned before.
    """
    records, _ = app.record.check(app.name, table)
    if not rows(records):
        raise DataError(f"{app.name}: the data have no rows; give at least some dozens.")
    for finding in app._inspect(records):
        if finding.severity == "error" and finding.code not in accepted:
            what, fix = (text[:1].lower() + text[1:] for text in (finding.message.rstrip("."), finding.fix))
            raise DataError(f"{app.name}: {what}; {fix}")
    return records | ({WEIGHT: table[WEIGHT]} if WEIGHT in table else {})


def decide(app: Any, train: Part, valid: Part, given: bool) -> None:
    """What goes with a decision that is built: the simple method, golden answers, the report on the held-out rows."""
    app.baseline_ = app.fit_baseline(train)
    app.learned_["profile"] = traits.profile(app.traits(train.records, train.inputs))
    queries, truth = app.make_trials(valid.records)
    own = type(app).prepare_records is not Contract.prepare_records
    inputs = readable(valid.ask(queries))[0] if own else valid.inputs
    app.golden_ = app.make_golden(inputs if own else train.inputs)
    app.call_, app.fast_ = fast.batch(app.model_), None
    app.apply_policy()
    app.seen_ = row_marks(crossings.plain(train.records), train.inputs)
    clusters = app.clusters(valid.records)
    app.report_ = assess.judge(app, truth, inputs, clusters, {})
    learned = readable(valid.ask(receipts.few(app.make_trials(train.records)[0])))[0] if own else train.inputs
    app.kept_ = receipts.Kept.of(app, truth, inputs, clusters, learned)
    app.report_.findings = findings(app, train, valid, given)
    app.report_.title += ", on the rows held out while learning"


def findings(app: Any, train: Part, valid: Part, given: bool) -> list[preflight.Finding]:
    """What the records show, once their media are decoded, and both sides of the split; and what could not be read."""
    found = [*app._inspect(train.records), *app.look(train.records, train.inputs)]
    found += crossings.findings(app, train, valid, given)
    why = [*train.left_out, *valid.left_out]
    if why:
        found.append(preflight.left_out(why))
    return [one for one in found if one.severity != "note"]


def copied(network: keras.Model) -> keras.Model:
    """A network with the same weights that can be trained without changing the first."""
    with archive.untrained(network):
        fresh = keras.models.clone_model(network)
    fresh.set_weights(network.get_weights())
    return fresh
