"""Losses that Keras lacks."""

from typing import Any

import keras
from keras import ops

from apptemplates.layers.tabular import PACKAGE


@keras.saving.register_keras_serializable(package=PACKAGE)
class MarginSoftmax(keras.losses.Loss):
    """Cross-entropy over scaled cosines, where the right class must win by a margin.

    Args:
        scale: What cosines are multiplied by; more makes the softmax sharper.
        margin: How much smaller the cosine to the right class is made, so that classes are learned well apart.

    Call arguments:
        y_true: (n,) or (n, 1) class numbers.
        y_pred: (n, classes) cosines.

    Reference: Wang et al., 2018, CosFace: Large Margin Cosine Loss for Deep Face Recognition, arXiv:1801.09414.
    """

    def __init__(self, scale: float = 24.0, margin: float = 0.25, name: str = "margin_softmax", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.scale, self.margin = scale, margin

    def call(self, y_true: Any, y_pred: Any) -> Any:
        right = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
        logits = self.scale * (y_pred - self.margin * right)
        return ops.logsumexp(logits, axis=-1) - ops.sum(right * logits, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "margin": self.margin}


@keras.saving.register_keras_serializable(package=PACKAGE)
class EvenChances(keras.losses.Loss):
    """Cross-entropy of the members of an ensemble, and a penalty where groups differ in their mean chance.

    The penalty is the mean over groups, by their share of the batch, of the squared gap between the group's mean chance
    and that of all, times `weight`.

    Args:
        members: Number of members k.
        weight: Of the penalty.

    Call arguments:
        y_true: (n, k + g), what each member is to say, and flags of the groups.
        y_pred: (n, k) logits.

    Reference: Zafar et al., 2017, Fairness Constraints, arXiv:1507.05259 (a penalty on how a score and a group go
    together).
    """

    def __init__(self, members: int, weight: float, name: str = "even_chances", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.members, self.weight = members, weight

    def call(self, y_true: Any, y_pred: Any) -> Any:
        wanted, flags = y_true[:, : self.members], y_true[:, self.members :]
        lost = ops.mean(keras.losses.binary_crossentropy(wanted, y_pred, from_logits=True))
        chance = ops.mean(ops.sigmoid(y_pred), axis=1)
        share = ops.mean(flags, axis=0)
        of_group = ops.sum(flags * chance[:, None], axis=0) / ops.maximum(ops.sum(flags, axis=0), 1.0)
        return lost + self.weight * ops.sum(share * ops.square(of_group - ops.mean(chance)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "members": self.members, "weight": self.weight}
