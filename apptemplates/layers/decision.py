"""From scores to decisions: temperature, probability, alarm."""

from typing import Any

import keras
import numpy as np
from keras import ops

from apptemplates.layers.tabular import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class Temperature(keras.layers.Layer):
    """Logits divided by one number that was fitted on held-out rows, so that they read as chances.

    Reference: Guo et al., 2017, On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """

    def build(self, shape: Any = None) -> None:
        self.temperature = self.add_weight(name="temperature", shape=(), initializer="ones", trainable=False)

    def call(self, logits: Any) -> Any:
        return logits / self.temperature

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class Chance(keras.layers.Layer):
    """Probability (n,) of a logit (n,)."""

    def call(self, logit: Any) -> Any:
        return ops.sigmoid(logit)


@keras.saving.register_keras_serializable(package=PACKAGE)
class ByGroup(keras.layers.Layer):
    """A decision in which each group may have an offset of its own.

    Args:
        groups: Number of groups that have one; 0 where no input says which.
    """

    def __init__(self, groups: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups = groups

    def add_groups(self) -> None:
        """Adds the offsets, if any."""
        if self.groups:
            self.of_group = self.add_weight(name="of_group", shape=(self.groups,), initializer="zeros", trainable=False)

    def offset_of(self, group: Any) -> Any:
        """The offset (n,) of flags (n, groups)."""
        return ops.sum(group * self.of_group, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Alarm(ByGroup):
    """True where probability x (by_value x value + fixed) reaches the threshold; the three can be set at any time.

    With a fixed cost of a miss this is a threshold on the probability; with the value of each row as what a miss
    costs, it weighs the expected loss. The product of a row whose group has an offset is multiplied by its exponential.

    Args:
        groups: Number of groups that have an offset of their own; 0 where no input says which.
    """

    def build(self, *shapes: Any, **named: Any) -> None:
        for name, start in (("by_value", "zeros"), ("fixed", "ones"), ("threshold", "ones")):
            setattr(self, name, self.add_weight(name=name, shape=(), initializer=start, trainable=False))
        self.add_groups()

    def set(self, by_value: float, fixed: float, threshold: float) -> None:
        """Decides anew."""
        self.by_value.assign(by_value)
        self.fixed.assign(fixed)
        self.threshold.assign(threshold)

    def call(self, probability: Any, value: Any, group: Any = None) -> Any:
        weighed = probability * (self.by_value * value + self.fixed)
        if group is not None:
            weighed = weighed * ops.exp(self.offset_of(group))
        return ops.greater_equal(weighed, self.threshold)

    def compute_output_spec(self, probability: Any, value: Any, group: Any = None) -> Any:
        return keras.KerasTensor(probability.shape, "bool")


@keras.saving.register_keras_serializable(package=PACKAGE)
class Unusualness(keras.layers.Layer):
    """The share (n,) of ordinary rows that a score (n,) exceeds, by a stored scale of held-out scores."""

    def __init__(self, steps: int = 512, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.steps = steps

    def build(self, shape: Any = None) -> None:
        self.low = self.add_weight(name="low", shape=(self.steps,), initializer="zeros", trainable=False)
        self.slope = self.add_weight(name="slope", shape=(self.steps,), initializer="zeros", trainable=False)
        self.share = self.add_weight(name="share", shape=(self.steps,), initializer="zeros", trainable=False)
        self.built = True

    def adapt(self, scores: np.ndarray) -> "Unusualness":
        """Takes the scale from held-out scores (n,)."""
        # half of the steps stand in the upper tail, where alarms are decided
        levels = np.unique(
            np.concatenate([np.linspace(0, 1, self.steps // 2), 1 - np.geomspace(1e-5, 1, self.steps // 2)])
        )
        edges, first = np.unique(np.quantile(scores.astype("float64"), levels), return_index=True)
        if len(edges) == 1:
            edges, levels, first = np.array([edges[0], edges[0] + 1]), np.array([0.0, 1.0]), np.array([0, 1])
        low, slope, share = np.full(self.steps, edges[-1]), np.zeros(self.steps), np.zeros(self.steps)
        n = len(edges) - 1
        low[:n], slope[:n], share[:n] = edges[:-1], 1 / np.diff(edges), np.diff(levels[first])
        self.build()
        self.set_weights([low, slope, share])
        return self

    def call(self, score: Any) -> Any:
        steps = ops.clip((ops.expand_dims(score, -1) - self.low) * self.slope, 0.0, 1.0)  # (n, steps)
        return ops.sum(steps * self.share, axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Weighed(ByGroup):
    """How far the log odds (n,) of a case lie above where acting pays, what is at stake and the row's group included.

    margin = log odds + by_value x log(value) + offset + offset of the group; all three can be set at any time.

    Args:
        groups: Number of groups that have an offset of their own; 0 where no input says which.
    """

    def build(self, *shapes: Any, **named: Any) -> None:
        self.by_value = self.add_weight(name="by_value", shape=(), initializer="zeros", trainable=False)
        self.offset = self.add_weight(name="offset", shape=(), initializer="zeros", trainable=False)
        self.add_groups()

    def call(self, odds: Any, value: Any = None, group: Any = None) -> Any:
        margin = odds + self.offset
        if value is not None:
            margin = margin + self.by_value * ops.log(ops.maximum(value, 1e-6))
        return margin if group is None else margin + self.offset_of(group)

    def compute_output_spec(self, odds: Any, value: Any = None, group: Any = None) -> Any:
        return keras.KerasTensor(odds.shape, "float32")


@keras.saving.register_keras_serializable(package=PACKAGE)
class Sureness(keras.layers.Layer):
    """How sure (n,) a decision by its margin in log odds (n,) is, 0.5..1."""

    def call(self, margin: Any) -> Any:
        return ops.sigmoid(ops.abs(margin))
