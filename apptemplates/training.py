"""What every training gets: a clock, the best weights, early and NaN stop, a checkpoint, one progress line."""

import contextlib
import io
import json
import logging
import math
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apptemplates.data.schema import DataError


class TrainingError(RuntimeError):
    """Learning failed in a way that more of the same can not mend."""


class Clock:
    """Seconds of a time budget, counted from now; a resumed training says what it had `spent` before.

    Args:
        minutes: The whole budget, or None for no limit.
    """

    def __init__(self, minutes: float | None) -> None:
        if minutes is not None and not (isinstance(minutes, int | float) and minutes > 0):
            raise ValueError(f"minutes must be a number above 0, or None for no limit. Received: {minutes!r}.")
        self.limit = math.inf if minutes is None else 60.0 * minutes
        self.began, self.spent = time.monotonic(), 0.0

    def passed(self) -> float:
        """Seconds used so far, earlier runs of a resumed training included."""
        return self.spent + time.monotonic() - self.began

    def deadline(self, share: float = 1.0) -> float:
        """The second (as `passed` counts) at which training must stop so that calibration still fits in."""
        reserve = min(0.2 * self.limit, 5.0 + 0.08 * self.limit) if self.limit < math.inf else 0.0
        return self.passed() + share * max(0.0, self.limit - reserve - self.passed())


class BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the least validation loss, and stops when it no longer falls.

    Args:
        patience: Epochs without a new best after which training stops; None keeps the latest weights instead.
        slack: Share by which a later epoch may be worse and still be kept: with few held-out cases the loss of single
            epochs is mostly noise, and the last epochs of a falling learning rate are the better ones.
    """

    def __init__(self, patience: int | None, slack: float = 0.0) -> None:
        super().__init__()
        self.patience, self.slack, self.best, self.epoch = patience, slack, math.inf, -1
        self.weights: list[Any] | None = None

    def is_over(self, epoch: int) -> bool:
        """Whether the loss has not fallen for too long, once this epoch is over."""
        return self.patience is not None and epoch - self.epoch >= self.patience

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("val_loss", (logs or {})["loss"])
        limit = self.best + self.slack * abs(self.best) if math.isfinite(self.best) else math.inf
        good = math.isfinite(loss) and loss < limit
        if good or (self.patience is None and math.isfinite(loss)):
            self.best, self.epoch, self.weights = min(loss, self.best), epoch, self.model.get_weights()
        elif self.is_over(epoch):
            self.model.stop_training = True

    def restore(self) -> None:
        """Puts the best weights back.

        Raises:
            TrainingError: No epoch ended with a finite validation loss.
        """
        if self.weights is None:
            raise TrainingError(
                "the loss was not a number from the first epoch on; lower learning_rate, or look for huge values."
            )
        self.model.set_weights(self.weights)


class StopAt(keras.callbacks.Callback):
    """Stops inside an epoch when the loss is no longer a number, or when the rest of the time is needed to validate."""

    def __init__(self, clock: Clock, deadline: float) -> None:
        super().__init__()
        self.clock, self.deadline, self.out_of_time, self.not_a_number = clock, deadline, False, False
        self.validating, self.began = 0.0, 0.0  # seconds that the last validation took, and when it began

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = self.not_a_number = True
        if self.clock.passed() + self.validating >= self.deadline:
            self.model.stop_training = self.out_of_time = True

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self.began = self.clock.passed()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self.clock.passed() >= self.deadline:  # what was seen so far must do
            self.model.stop_evaluating = self.model.stop_training = self.out_of_time = True

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        self.validating = self.clock.passed() - self.began


class CosineRate(keras.callbacks.Callback):
    """A short warm-up, then a cosine down to zero at the last step or at the deadline, whichever comes first.

    Reference: Loshchilov and Hutter, 2017, SGDR, arXiv:1608.03983.
    """

    def __init__(self, rate: float, steps: int, clock: Clock, deadline: float, warm: float = 0.05) -> None:
        super().__init__()
        self.rate, self.steps, self.clock, self.deadline, self.warm = rate, steps, clock, deadline, warm
        self.began = clock.passed()

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = int(self.model.optimizer.iterations.numpy()) / self.steps
        if self.deadline < math.inf:
            done = max(done, (self.clock.passed() - self.began) / max(1e-9, self.deadline - self.began))
        done = min(1.0, done)
        self.model.optimizer.learning_rate.assign(
            self.rate * min(1.0, done / self.warm + 1e-2) * 0.5 * (1.0 + math.cos(math.pi * done))
        )


class Checkpoint(keras.callbacks.Callback):
    """One file an epoch end, written at once, from which the same call goes on after a crash.

    Args:
        file: Where it is written.
        fingerprint: What was learned from and how; another one is refused.
    """

    def __init__(self, file: Path, fingerprint: str, clock: Clock, best: BestWeights) -> None:
        super().__init__()
        self.file, self.fingerprint, self.clock, self.best = file, fingerprint, clock, best
        self.epoch, self.history, self.told = 0, {}, False  # type: ignore[var-annotated]

    def resume(self, model: keras.Model) -> None:
        """Puts model, optimizer, best weights and clock where they were; does nothing where there is no file.

        Raises:
            DataError: The file is damaged, or belongs to other data or other settings.
        """
        if not self.file.exists():
            return
        try:
            with np.load(self.file, allow_pickle=False) as content:
                saved = dict(content)
            note = json.loads(str(saved["note"]))
            mark = note["fingerprint"]
        except (zipfile.BadZipFile, OSError, EOFError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"checkpoint {str(self.file)!r} is damaged or of another program ({error}); delete it to start anew."
            ) from error
        if mark != self.fingerprint:
            raise DataError(
                f"checkpoint {str(self.file.parent)!r} belongs to other data or other settings than this fit; "
                f"choose another folder, or delete it to start anew."
            )
        model.set_weights([saved[f"weight {i}"] for i in range(len(model.weights))])
        for i, variable in enumerate(model.optimizer.variables):
            variable.assign(saved[f"optimizer {i}"])
        self.best.best, self.best.epoch = note["best"], note["best_epoch"]
        self.best.weights = [saved[f"best {i}"] for i in range(len(model.weights))]
        self.epoch, self.history = note["epoch"], note["history"]
        # what stages before this one spent is in its note, too
        self.clock.spent = max(self.clock.spent, note["spent"])

    def check_place(self) -> None:
        """Makes the folder, and sees that it can be written to, before an epoch is spent.

        Raises:
            DataError: It can not.
        """
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.file.with_suffix(".part")
            fresh.write_bytes(b"")
            fresh.unlink()
        except OSError as error:
            raise DataError(
                f"checkpoint {str(self.file.parent)!r} can not be written ({error.strerror}); choose another folder."
            ) from error

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.best.weights is None:
            return
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self.epoch = epoch + 1
        note = {
            "fingerprint": self.fingerprint,
            "epoch": self.epoch,
            "best": self.best.best,
            "best_epoch": self.best.epoch,
            "spent": self.clock.passed(),
            "history": self.history,
        }
        arrays = {f"weight {i}": w for i, w in enumerate(self.model.get_weights())}
        arrays |= {f"best {i}": w for i, w in enumerate(self.best.weights)}
        arrays |= {f"optimizer {i}": np.asarray(v) for i, v in enumerate(self.model.optimizer.variables)}
        content = io.BytesIO()
        np.savez(content, note=np.array(json.dumps(note)), **arrays)  # type: ignore[arg-type]
        fresh = self.file.with_suffix(".part")
        try:
            fresh.write_bytes(content.getvalue())
            os.replace(fresh, self.file)
        except OSError as error:  # learning goes on, from a crash it would go on from an earlier epoch
            fresh.unlink(missing_ok=True)
            if not self.told:
                self.told = True
                print(
                    f"checkpoint {str(self.file)!r} can not be written ({error.strerror}); learning goes on without.",
                    file=sys.stderr,
                )


class Progress(keras.callbacks.Callback):
    """One live line: epoch, loss, best validation loss, seconds."""

    def __init__(self, title: str, epochs: int, clock: Clock) -> None:
        super().__init__()
        self.title, self.epochs, self.clock, self.epoch = title, epochs, clock, 0
        self.shown: Any = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[say]}"), TimeElapsedColumn()
        self.shown = Progress(*columns)
        self.shown.start()
        self.task = self.shown.add_task(self.title, total=float(self.epochs), say="")

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        done = self.epoch + (batch + 1) / max(1, self.params.get("steps") or 1)
        self.shown.update(self.task, completed=done)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.shown.update(self.task, completed=epoch + 1.0, say=progress(epoch, self.epochs, logs or {}))

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self.shown is not None:
            self.shown.stop()


class NotebookProgress(keras.callbacks.Callback):
    """The same in a notebook: one line that is written anew after each epoch."""

    def __init__(self, title: str, epochs: int, clock: Clock) -> None:
        super().__init__()
        self.title, self.epochs, self.clock, self.shown = title, epochs, clock, None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        from IPython.display import display

        line = {"text/plain": f"{self.title}: {progress(epoch, self.epochs, logs or {})}  {self.clock.passed():.0f} s"}
        if self.shown is None:
            self.shown = display(line, raw=True, display_id=True)
        else:
            self.shown.update(line, raw=True)


def progress(epoch: int, epochs: int, logs: dict[str, float]) -> str:
    """How far learning is, and how good."""
    held_out = f"  held out {logs['val_loss']:.4g}" if "val_loss" in logs else ""
    return f"epoch {epoch + 1}/{epochs}  loss {logs['loss']:.4g}{held_out}"


def wants_progress(verbose: str | int | bool) -> bool:
    """Whether to show a live line: `"auto"` does in a terminal or a notebook."""
    if verbose == "auto":
        return sys.stderr.isatty() or "ipykernel" in sys.modules
    return bool(verbose)


def untuned(batches: Any) -> Any:
    """A `tf.data.Dataset` that does not tune itself while it is read.

    What tunes a dataset sleeps for up to a minute at a time, and an iterator waits for it when it goes: passes of a fit
    ended seconds late, now and then.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


@contextlib.contextmanager
def one_of_many() -> Iterator[None]:
    """TensorFlow does not warn meanwhile that Keras' step was traced for other networks before."""
    import tensorflow as tf

    def is_other(record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()

    tf.get_logger().addFilter(is_other)
    try:
        yield
    finally:
        tf.get_logger().removeFilter(is_other)


def run(
    network: keras.Model,
    batches: Any,
    valid: Any | None,
    *,
    objective: dict[str, Any] | None,
    rate: float,
    epochs: int,
    patience: int | None,
    slack: float = 0.0,
    clock: Clock,
    deadline: float | None = None,
    checkpoint: tuple[Path, str] | None = None,
    callbacks: Iterable[Callable[..., Any]] = (),
    title: str = "learning",
    verbose: str | int | bool = "auto",
) -> dict[str, Any]:
    """Fits a network within a clock and leaves the best weights in it.

    Args:
        network: To be trained.
        objective: What it is compiled with; None goes on with what it was, which spares tracing its step once more.
        batches: A `tf.data.Dataset` of (features, target[, weight]) with known length.
        valid: The same, to be judged by after each epoch; or None.
        rate: The highest learning rate, of a cosine that ends with the epochs or the time.
        epochs: Passes at most.
        patience: Epochs without a better validation loss before it stops; None runs to the end and keeps its weights.
        slack: See `BestWeights`.
        clock: Of the whole `fit`.
        deadline: The second, as the clock counts, at which this run must end; by default what the clock allows.
        checkpoint: File and fingerprint to go on from and to write at each epoch's end.
        callbacks: The user's own.

    Returns:
        `history` (name -> list), `epochs` (passes until the best one), `seconds`, `stopped` (why).

    Raises:
        TrainingError: The loss was never a number.
        DataError: The checkpoint belongs to other data.
        KeyboardInterrupt: Before the first epoch ended, when there are no weights to keep.
    """
    if objective is None:
        for variable in network.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
    else:
        network.compile(**objective)
        network.optimizer.build(network.trainable_variables)  # a step that makes variables would be traced twice
    best = BestWeights(patience, slack)
    own: list[Any] = [best]
    start, keeper = 0, None
    if checkpoint is not None:
        keeper = Checkpoint(*checkpoint, clock, best)
        keeper.check_place()
        keeper.resume(network)
        own.append(keeper)
        start = epochs if best.is_over(keeper.epoch - 1) else keeper.epoch
    deadline = clock.deadline() if deadline is None else deadline
    stop = StopAt(clock, deadline)
    steps = int(batches.cardinality())
    own += [stop, CosineRate(rate, epochs * steps, clock, deadline)]
    if wants_progress(verbose):
        live = NotebookProgress if "ipykernel" in sys.modules else Progress
        own.append(live(title, epochs, clock))
    began, why = time.monotonic(), "all epochs done"
    try:
        # one iterator for all passes, since a new one makes its functions ready anew; several steps at once need an end
        at_once = network.steps_per_execution > 1
        with one_of_many():
            network.fit(
                untuned(batches if at_once else batches.repeat()),
                steps_per_epoch=None if at_once else steps,
                validation_data=None if valid is None else untuned(valid),
                initial_epoch=start,
                epochs=epochs,
                callbacks=[*own, *callbacks],
                shuffle=False,  # a dataset shuffles itself
                verbose=0,
            )
        if stop.out_of_time:
            why = "the minutes were used up"
        elif stop.not_a_number:
            why = "the loss was no longer a number"
        elif (keeper.epoch if keeper is not None else len(network.history.epoch)) < epochs:
            why = f"no better validation loss in {patience} epochs"
    except KeyboardInterrupt:
        for callback in own:
            callback.on_train_end()  # the progress line would stay alive
        if best.weights is None:
            raise
        why = "interrupted; the best weights so far are kept"
        print(f"{title}: {why}.", file=sys.stderr)
    history = keeper.history if keeper is not None else network.history.history
    best.restore()
    return {
        "history": {name: [float(v) for v in values] for name, values in history.items()},
        "epochs": best.epoch + 1,
        "seconds": time.monotonic() - began,
        "stopped": why,
    }
