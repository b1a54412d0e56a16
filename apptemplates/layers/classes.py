"""From the logits of several classes to chances, a choice and whether it is sure enough."""

from typing import Any

import keras
from keras import ops

from apptemplates.layers.tabular import PACKAGE

LEAST = 1e-7  # chances are kept so far from 0 and 1 before their logarithm is taken


@keras.saving.register_keras_serializable(package=PACKAGE)
class ClassChances(keras.layers.Layer):
    """Chances (n, c) of logits (n, c), each shifted by how much more common its class is here than when it was learned.

    Args:
        several: Whether several classes may be true at once: then each has a chance of its own.

    Reference: Saerens et al., 2002, Adjusting the Outputs of a Classifier to New a Priori Probabilities.
    """

    def __init__(self, several: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.several = several

    def build(self, shape: Any) -> None:
        self.shift = self.add_weight(name="shift", shape=(shape[-1],), initializer="zeros", trainable=False)

    def call(self, logits: Any) -> Any:
        shifted = logits + self.shift
        return ops.sigmoid(shifted) if self.several else ops.softmax(shifted, axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "several": self.several}


@keras.saving.register_keras_serializable(package=PACKAGE)
class ClassChoice(keras.layers.Layer):
    """What is said (n, c), and how sure that is (n,), from chances (n, c); an offset makes a class easier to say.

    Of single classes the one with the highest log chance + offset is said; where several may be true, each whose log
    odds + offset are at least 0. How sure: the chance of what is said, were the offset part of the chances.

    Args:
        several: Whether several classes may be true at once.

    Reference: Menon et al., 2021, Long-tail Learning via Logit Adjustment, arXiv:2007.07314.
    """

    def __init__(self, several: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.several = several

    def build(self, shape: Any) -> None:
        self.offset = self.add_weight(name="offset", shape=(shape[-1],), initializer="zeros", trainable=False)

    def call(self, chances: Any) -> tuple[Any, Any]:
        chances = ops.clip(chances, LEAST, 1.0 - LEAST)
        if self.several:
            score = ops.log(chances) - ops.log(1.0 - chances) + self.offset
            return ops.cast(score >= 0.0, "float32"), ops.min(ops.sigmoid(ops.abs(score)), axis=-1)
        score = ops.log(chances) + self.offset
        places = ops.arange(self.offset.shape[0], dtype="float32")
        highest = score >= ops.max(score, axis=-1, keepdims=True)
        # argmax and one_hot have no LiteRT form in Keras; of equal ones the first
        first = ops.min(ops.where(highest, places, float(self.offset.shape[0])), axis=-1, keepdims=True)
        said = ops.cast(ops.equal(places, first), "float32")
        return said, ops.max(ops.softmax(score, axis=-1), axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape, (shape[0],)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "several": self.several}


@keras.saving.register_keras_serializable(package=PACKAGE)
class Unsure(keras.layers.Layer):
    """True where an answer is less sure (n,) than it must be; the least can be set at any time."""

    def build(self, shape: Any = None) -> None:
        self.least = self.add_weight(name="least", shape=(), initializer="zeros", trainable=False)

    def call(self, sure: Any) -> Any:
        return ops.less(sure, self.least)

    def compute_output_spec(self, sure: Any) -> Any:
        return keras.KerasTensor(sure.shape, "bool")
