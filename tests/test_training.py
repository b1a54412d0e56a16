"""Training: the clock, the best weights, early and NaN stop, interruptions, and going on after a crash."""

import json
import logging
import os
import signal
import sys
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.data.ops.iterator_ops import OwnedIterator

import apptemplates as at
from apptemplates import training
from apptemplates.data import synthetic
from apptemplates.data.schema import DataError
from apptemplates.data.table import take
from apptemplates.evaluation import metrics


def network(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])


def batches(n=128, size=16, sign=1.0, wait=0.0, seed=0):
    """Batches of a linear target; each takes `wait` seconds to come."""
    features = np.random.default_rng(seed).normal(size=(n, 4)).astype("float32")
    target = sign * features.sum(axis=1, keepdims=True)

    def slowly(x, y):
        time.sleep(wait)
        return x, y

    made = tf.data.Dataset.from_tensor_slices((features, target)).batch(size)
    if wait:
        count = made.cardinality()
        made = made.map(lambda x, y: tf.numpy_function(slowly, (x, y), (tf.float32, tf.float32)))
        made = made.map(lambda x, y: (tf.ensure_shape(x, (None, 4)), tf.ensure_shape(y, (None, 1))))
        made = made.apply(tf.data.experimental.assert_cardinality(count))
    return made


def run(model, train=None, valid=None, **changes):
    arguments = {
        "objective": {"optimizer": keras.optimizers.Adam(), "loss": "mse"},
        "rate": 0.01,
        "epochs": 5,
        "patience": 3,
        "clock": training.Clock(None),
        "verbose": 0,
    } | changes
    return training.run(
        model, batches() if train is None else train, batches(seed=1) if valid is None else valid, **arguments
    )


class At(keras.callbacks.Callback):
    """Does something at the begin of one epoch."""

    def __init__(self, epoch, action):
        super().__init__()
        self.epoch, self.action = epoch, action

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.action(self.model)


class Kept(keras.callbacks.Callback):
    """The weights and learning rates as they went by."""

    def __init__(self):
        super().__init__()
        self.weights, self.rates, self.epochs = [], [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)
        self.weights.append(self.model.get_weights())


def raising(error):
    def action(_):
        raise error

    return action


def fill_with_nan(model):
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])


def same(first, second, **kwargs):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, **kwargs)


# ---- the clock -------------------------------------------------------------


def test_clock_counts_what_was_spent_before():
    clock = training.Clock(1)
    clock.spent += 50
    assert 50 <= clock.passed() < 51
    assert 50 < clock.deadline() < 60
    assert training.Clock(1).deadline(0.5) < 30 < training.Clock(1).deadline() < 60
    assert training.Clock(None).deadline() == float("inf")
    clock.spent += 50
    assert clock.deadline() <= clock.passed() + 0.01


@pytest.mark.parametrize("minutes", [0, -1, "5", float("nan")])
def test_minutes_must_be_a_number_above_zero(minutes):
    with pytest.raises(ValueError, match=r"minutes must be a number above 0, or None"):
        training.Clock(minutes)


@pytest.mark.parametrize("train_wait, valid_wait", [(0.1, 0.4), (0.4, 0.02)], ids=["slow validation", "slow training"])
def test_the_clock_holds_on_a_slow_model(train_wait, valid_wait):
    model, seconds = network(), 4.0
    model.compile("adam", "mse")
    model.fit(batches(32), validation_data=batches(32), shuffle=False, verbose=0)  # imports and traces apart
    clock = training.Clock(seconds / 60)
    done = run(model, batches(wait=train_wait), batches(wait=valid_wait), epochs=1000, clock=clock)
    assert clock.passed() < seconds + 4  # a busy machine may be late by less than the 10 seconds that are promised
    assert clock.passed() > 0.5 * seconds
    assert done["stopped"] == "the minutes were used up"
    assert np.isfinite(done["history"]["val_loss"]).all() and np.isfinite(model.get_weights()[0]).all()


def test_the_clock_stops_within_the_first_epoch():
    clock = training.Clock(5 / 60)  # time enough for the first step, which is compiled
    model = network()
    before = model.get_weights()
    done = run(model, batches(16 * 400, wait=0.05), epochs=3, clock=clock)
    assert clock.passed() < 12 and len(done["history"]["loss"]) == 1
    assert not np.allclose(before[0], model.get_weights()[0])


def test_cosine_starts_soft_and_ends_at_zero():
    kept = Kept()
    run(network(), epochs=10, patience=None, callbacks=[kept])
    rates = np.array(kept.rates)
    assert len(rates) == 80
    assert rates[0] < 0.2 * rates.max() and rates.max() == pytest.approx(0.01, rel=0.02)
    top = rates.argmax()
    assert (np.diff(rates[: top + 1]) > 0).all() and (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < 1e-3 * rates.max()


def test_cosine_ends_with_the_time():
    kept = Kept()
    run(network(), batches(wait=0.02), epochs=1000, clock=training.Clock(6 / 60), callbacks=[kept], patience=None)
    assert len(kept.rates) < 500 and kept.rates[-1] < 0.001 and kept.rates[-1] < 0.5 * max(kept.rates)


# ---- the best weights ------------------------------------------------------


def test_the_best_weights_are_restored():
    kept, model = Kept(), network()
    done = run(model, valid=batches(sign=-1.0), epochs=9, patience=2, callbacks=[kept])  # the more it learns, the worse
    losses = done["history"]["val_loss"]
    assert int(np.argmin(losses)) + 1 == done["epochs"] < len(losses)
    same(model.get_weights(), kept.weights[done["epochs"] - 1], rtol=0)
    assert not np.allclose(kept.weights[-1][0], model.get_weights()[0])


def test_patience_counts_epochs_without_a_better_loss():
    for patience in (1, 2):
        done = run(network(), rate=1e-30, epochs=20, patience=patience)  # learns nothing
        assert len(done["history"]["val_loss"]) == 1 + patience and done["epochs"] == 1
        assert done["stopped"] == f"no better validation loss in {patience} epochs"


def test_without_patience_it_runs_to_the_end_and_keeps_the_last():
    kept, model = Kept(), network()
    done = run(model, valid=batches(sign=-1.0), epochs=6, patience=None, callbacks=[kept])
    assert done["epochs"] == 6 and done["stopped"] == "all epochs done"
    same(model.get_weights(), kept.weights[-1], rtol=0)


def test_nan_from_the_start_is_an_error():
    bad = batches().map(lambda x, y: (x, y * np.float32(np.nan)))
    with pytest.raises(
        training.TrainingError, match=r"the loss was not a number from the first epoch on; lower learning_rate"
    ):
        run(network(), bad, epochs=50)


@pytest.mark.parametrize("patience", [3, None])
def test_nan_later_keeps_the_best(patience):
    kept, model = Kept(), network()
    done = run(model, epochs=50, patience=patience, callbacks=[At(2, fill_with_nan), kept])
    assert len(done["history"]["loss"]) == 3 and np.isnan(done["history"]["val_loss"][-1])
    assert done["epochs"] == 2 and "no longer a number" in done["stopped"]
    same(model.get_weights(), kept.weights[1], rtol=0)


def test_interrupting_keeps_the_best_weights(capsys):
    kept, model = Kept(), network()
    done = run(model, epochs=50, callbacks=[At(3, raising(KeyboardInterrupt())), kept], verbose=1)
    assert done["epochs"] == 3 and done["stopped"].startswith("interrupted")
    assert len(done["history"]["val_loss"]) == 3
    same(model.get_weights(), kept.weights[2], rtol=0)
    assert "interrupted; the best weights so far are kept" in capsys.readouterr().err


def test_interrupting_the_first_epoch_is_an_interruption():
    with pytest.raises(KeyboardInterrupt):
        run(network(), callbacks=[At(0, raising(KeyboardInterrupt()))])


# ---- going on --------------------------------------------------------------


def test_a_resumed_training_ends_as_one_that_was_never_broken(tmp_path):
    whole, broken, resumed = network(), network(), network(seed=5)
    expected = run(whole, epochs=6, patience=None)
    mark = (tmp_path / "new folder" / "search.npz", "these data")
    with pytest.raises(RuntimeError, match="power cut"):
        run(broken, epochs=6, patience=None, checkpoint=mark, callbacks=[At(4, raising(RuntimeError("power cut")))])
    kept = Kept()
    clock = training.Clock(None)
    done = run(resumed, epochs=6, patience=None, checkpoint=mark, callbacks=[kept], clock=clock)
    assert kept.epochs == [4, 5] and done["epochs"] == 6
    same(resumed.get_weights(), whole.get_weights(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(done["history"]["val_loss"], expected["history"]["val_loss"], rtol=1e-4)
    assert clock.spent > 0
    with pytest.raises(DataError, match=r"checkpoint .* belongs to other data or other settings than this fit"):
        run(network(), checkpoint=(mark[0], "other data"))


def test_a_resumed_training_keeps_the_best_of_before(tmp_path):
    mark = (tmp_path / "search.npz", "these data")
    kept = Kept()
    with pytest.raises(RuntimeError):
        callbacks = [kept, At(2, raising(RuntimeError()))]
        run(network(), valid=batches(sign=-1.0), epochs=9, patience=4, checkpoint=mark, callbacks=callbacks)
    model = network(seed=5)
    done = run(model, valid=batches(sign=-1.0), epochs=9, patience=4, checkpoint=mark)
    assert done["epochs"] == 1 and len(done["history"]["val_loss"]) == 5
    same(model.get_weights(), kept.weights[0], rtol=0)


def test_what_a_resumed_training_spent_is_counted_once(tmp_path):
    clock, marks = training.Clock(None), [(tmp_path / f"{name}.npz", "these data") for name in ("first", "second")]
    clock.began -= 100
    for mark in marks:  # two stages of one fit
        run(network(), epochs=1, checkpoint=mark, clock=clock)
    again = training.Clock(None)
    for mark in marks:
        run(network(), epochs=1, checkpoint=mark, clock=again)
    assert 100 < again.spent < 130


def test_a_training_that_was_over_is_not_gone_on_with(tmp_path):
    mark, kept = (tmp_path / "search.npz", "these data"), Kept()
    first = run(network(), valid=batches(sign=-1.0), epochs=9, patience=2, checkpoint=mark)
    done = run(network(seed=5), valid=batches(sign=-1.0), epochs=9, patience=2, checkpoint=mark, callbacks=[kept])
    assert not kept.epochs and done["epochs"] == first["epochs"] and done["stopped"] == first["stopped"]


@pytest.mark.parametrize("content", [b"", b"half a f", b"PK\x03\x04 cut off"])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, content):
    file = tmp_path / "search.npz"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"^checkpoint '.*search\.npz' is damaged .*; delete it to start anew\.$"):
        run(network(), checkpoint=(file, "these data"))


def test_a_checkpoint_that_can_not_be_written_is_told_before_learning(tmp_path):
    (tmp_path / "taken").write_text("a file")
    kept = Kept()
    with pytest.raises(DataError, match=r"^checkpoint '.*taken' can not be written \(.*\); choose another folder\.$"):
        run(network(), checkpoint=(tmp_path / "taken" / "search.npz", "these data"), callbacks=[kept])
    assert not kept.rates


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full device")
def test_a_disk_that_fills_up_does_not_stop_learning(tmp_path, capsys):
    file = tmp_path / "search.npz"

    def fill(_):
        file.with_suffix(".part").symlink_to("/dev/full")

    done = run(network(), epochs=5, patience=None, checkpoint=(file, "these data"), callbacks=[At(3, fill)])
    assert done["epochs"] == 5
    said = capsys.readouterr().err
    assert "can not be written (No space left on device); learning goes on without." in said
    assert said.count("can not be written") == 1 and not file.with_suffix(".part").is_symlink()


CHILD = """
import sys, time
import keras
import apptemplates as at
from apptemplates.data import synthetic

class Slowly(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.4)

app = at.FraudDetector(label="fraud", entities=("card", "terminal"), epochs=12, batch_size=128)
app.fit(synthetic.payments(1200), checkpoint=sys.argv[1], callbacks=[Slowly()], verbose=0)
"""


def epoch_of(file):
    try:
        with np.load(file) as saved:
            return json.loads(str(saved["note"]))["epoch"]
    except FileNotFoundError:
        return 0


def test_a_killed_fit_goes_on_from_its_last_epoch(tmp_path, start_process):
    folder = tmp_path / "checkpoint"
    child, said = start_process(CHILD, folder)
    try:
        until = time.monotonic() + 120
        while epoch_of(folder / "search.npz") < 2:
            assert child.is_alive(), (said / "err").read_text()
            assert time.monotonic() < until, "no second epoch in two minutes"
            time.sleep(0.05)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.join()
    reached = epoch_of(folder / "search.npz")
    assert 2 <= reached < 12

    def same_call(table, kept=None, **changes):
        roles = {"label": "fraud", "entities": ("card", "terminal"), "epochs": 12, "batch_size": 128}
        app = at.FraudDetector(**roles | changes)
        return app.fit(table, checkpoint=folder, callbacks=[kept] if kept else [], verbose=0)

    table = synthetic.payments(1200)
    for other, changes in ((synthetic.payments(1200, seed=1), {}), (table, {"learning_rate": 0.01})):
        with pytest.raises(DataError, match=r"belongs to other data or other settings than this fit; choose another"):
            same_call(other, **changes)
    assert epoch_of(folder / "search.npz") == reached  # a refused call leaves it

    kept = Kept()
    app = same_call(table, kept)
    assert kept.epochs[0] == reached
    assert len(app.history_["val_loss"]) >= reached
    assert app.is_fitted and len(app.predict(table)) == 1200
    assert not list(folder.glob("*.npz")) and not list(folder.glob("*.part"))  # the next fit starts anew


def test_a_checkpoint_of_another_past_is_refused(tmp_path):
    table = synthetic.payments(900)
    past, new = take(table, np.arange(300)), take(table, np.arange(300, 900))

    def detector():
        return at.FraudDetector(label="fraud", entities=("card",), epochs=2, batch_size=128, refit=False)

    with pytest.raises(RuntimeError, match="power cut"):
        stop = At(1, raising(RuntimeError("power cut")))
        detector().observe(past).fit(new, checkpoint=tmp_path, callbacks=[stop], verbose=0)
    with pytest.raises(DataError, match="belongs to other data or other settings"):
        detector().fit(new, checkpoint=tmp_path, verbose=0)
    assert detector().observe(past).fit(new, checkpoint=tmp_path, minutes=0.1, verbose=0).is_fitted


def test_a_step_is_traced_once(monkeypatch):
    """Variables that a first step makes would have it traced again, which takes seconds for a large network."""
    model, traced = network(), []
    monkeypatch.setattr(model, "train_step", lambda data, step=model.train_step: (traced.append(1), step(data))[1])
    run(model)
    assert len(traced) == 1
    weights = model.get_weights()
    run(model, objective=None, epochs=1)  # goes on with what it was compiled with
    assert len(traced) == 1 and not np.array_equal(model.get_weights()[0], weights[0])


def test_what_goes_on_compiled_begins_with_a_new_optimizer():
    first, again = network(), network()
    run(first, epochs=2)
    run(again, epochs=3)
    again.set_weights(network().get_weights())
    run(again, epochs=2, objective=None)
    same(first.get_weights(), again.get_weights(), rtol=1e-5, atol=1e-6)


def test_one_iterator_serves_all_passes(monkeypatch):
    """A new one makes the functions of its dataset ready anew, which takes longer than a pass over few clips."""
    made = []
    plain = OwnedIterator._create_iterator
    monkeypatch.setattr(OwnedIterator, "_create_iterator", lambda one, given: (made.append(1), plain(one, given))[1])
    monkeypatch.setattr(keras.Model, "evaluate", lambda *a, **k: {"loss": 1.0})
    once = run(network(), epochs=4)
    assert len(made) == 1 and len(once["history"]["loss"]) == 4
    model = network()
    several = run(model, epochs=4, objective={"optimizer": "adam", "loss": "mse", "steps_per_execution": 3})
    assert int(model.optimizer.iterations.numpy()) == 4 * 8 and len(several["history"]["loss"]) == 4


def test_many_fits_are_no_reason_to_warn():
    told = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    logger = tf.get_logger()
    logger.addHandler(handler)
    try:
        with training.one_of_many():
            logger.warning("%d out of the last 9 calls to a step triggered tf.function retracing.", 5)
            logger.warning("something else")
        logger.warning("a step triggered tf.function retracing.")
    finally:
        logger.removeHandler(handler)
    assert told == ["something else", "a step triggered tf.function retracing."]


# ---- the whole fit ---------------------------------------------------------


@pytest.fixture(scope="module")
def halves():
    table = synthetic.payments(6000, seed=3)
    return take(table, np.arange(4500)), take(table, np.arange(4500, 6000))


def test_learning_from_the_held_out_rows_too_keeps_the_decision_calibrated(halves):
    past, future = halves
    roles = {"label": "fraud", "entities": ("card", "terminal"), "epochs": 5, "batch_size": 128}
    once = at.FraudDetector(**roles, refit=False).fit(past, verbose=0)
    twice = at.FraudDetector(**roles, refit=True).fit(past, verbose=0)
    assert twice.learned_["training"]["refit"] and not once.learned_["training"]["refit"]
    assert twice.learned_["temperature"] == pytest.approx(once.learned_["temperature"], rel=1e-3)
    assert not np.allclose(once.network_.get_weights()[0], twice.network_.get_weights()[0])
    for app in (once, twice):
        chance = app.predict(future).probability.to_numpy()
        assert metrics.ece(future["fraud"], chance) < 0.02
        assert 0.5 < chance.mean() / future["fraud"].mean() < 2
        assert metrics.average_precision(future["fraud"], chance) > 3 * future["fraud"].mean()


def test_a_refit_that_fails_leaves_what_was_held_against_the_other_rows(halves, monkeypatch):
    plain, roles = training.run, {"label": "fraud", "entities": ("card",), "epochs": 1}
    once = at.FraudDetector(**roles, refit=False).fit(halves[1], verbose=0)

    def run(network, given, valid, **more):
        done = plain(network, given, valid, **more)
        if valid is None:
            raise training.TrainingError("the loss was not a number")
        return done

    monkeypatch.setattr(training, "run", run)
    app = at.FraudDetector(**roles).fit(halves[1], verbose=0)
    assert not app.learned_["training"]["refit"]
    for ours, theirs in zip(app.network_.get_weights(), once.network_.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fit_keeps_to_its_minutes(halves, monkeypatch):
    monkeypatch.setattr(at.FraudDetector, "patience", 10_000)  # only the clock stops it
    began = time.monotonic()
    app = at.FraudDetector(label="fraud", entities=("card", "terminal"), epochs=10_000, batch_size=16)
    app.fit(halves[0], minutes=0.15, verbose=0)
    assert time.monotonic() - began < 19
    assert app.learned_["training"]["stopped"] == "the minutes were used up"
    assert app.learned_["training"]["minutes"] < 19 / 60


def test_slack_keeps_a_later_epoch_that_is_hardly_worse():
    best = training.BestWeights(patience=2, slack=0.02)
    best.set_model(network())
    for epoch, loss in enumerate((1.0, 0.5, 0.509, 0.52, 0.8)):
        best.on_epoch_end(epoch, {"loss": loss, "val_loss": loss})
    assert best.epoch == 2 and best.best == 0.5
    assert best.model.stop_training


def test_in_a_notebook_one_line_is_written_anew(monkeypatch):
    lines = []

    class Handle:
        def update(self, line, raw):
            lines.append(("again", line["text/plain"], raw))

    def display(line, raw, display_id):
        lines.append(("first", line["text/plain"], display_id))
        return Handle()

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    common = {"objective": {"loss": "mse"}, "rate": 0.1, "epochs": 3, "patience": 5, "clock": training.Clock(None)}
    training.run(network(), batches(), batches(), title="An app", verbose="auto", callbacks=(), **common)
    assert [kind for kind, *_ in lines] == ["first", "again", "again"]
    assert lines[2][1].startswith("An app: epoch 3/3  loss ") and "held out" in lines[2][1]


def test_what_is_learned_from_does_not_tune_itself(monkeypatch):
    """An iterator that does waits up to a minute when it goes."""
    read = []
    plain = keras.Model.fit

    def fit(network, batches, validation_data=None, **more):
        read.extend([batches, validation_data])
        return plain(network, batches, validation_data=validation_data, **more)

    monkeypatch.setattr(keras.Model, "fit", fit)
    at.FraudDetector(label="fraud", entities=("card",), epochs=1, refit=False).fit(synthetic.payments(600), verbose=0)
    assert read and all(batches.options().autotune.enabled is False for batches in read if batches is not None)
