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
