"""A pretrained language model of KerasHub as one layer, that reads a whole stretch of text or the next place only."""

from typing import Any

import keras
from keras import ops

from apptemplates.inference.tokens import FIRST
from apptemplates.layers.tabular import PACKAGE

NEVER = -30.0  # logit of the numbers that stand for no text


@keras.saving.register_keras_serializable(package=PACKAGE)
class PretrainedText(keras.layers.Layer):
    """Logits (n, t, v) from tokens (n, t, 1), and rows to be kept.

    Called on [tokens (n, 1, 1), place (n,), cache0, cache1, ... (n, c, 2 width)] it answers for the place after the
    first `place` rows of the caches, which must be one number for all, and gives the rows (n, 1, blocks x 2 width) to
    be written there. Our numbers of tokens are those of the model plus two.

    Args:
        task: A `keras_hub.models.CausalLM`.

    Reference: Hu et al., 2021, LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685.
    """

    def __init__(self, task: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # its weights are the backbone's; as a layer of this one, the task would bring its own metrics along
        self._task = lambda: task
        self.backbone = backbone = task.backbone
        all_heads = getattr(backbone, "num_heads", None) or backbone.num_query_heads
        self.heads = getattr(backbone, "num_key_value_heads", None) or all_heads
        self.each = getattr(backbone, "head_dim", None) or backbone.hidden_dim // all_heads
        self.blocks, self.width = backbone.num_layers, self.heads * self.each
        self.tokens = backbone.vocabulary_size + FIRST

    def build(self, shape: Any) -> None:
        self.built = True  # the backbone is

    def call(self, inputs: Any) -> Any:
        if isinstance(inputs, list | tuple):
            return self._next(*inputs)
        numbers = ops.maximum(inputs[..., 0] - FIRST, 0)
        found = self._task()({"token_ids": numbers, "padding_mask": ops.ones_like(numbers)})
        return self._all(found), ops.zeros_like(found[..., :1])

    def _next(self, tokens: Any, place: Any, *caches: Any) -> Any:
        room = caches[0].shape[1]
        parts = [ops.reshape(cache, (-1, room, 2, self.heads, self.each)) for cache in caches]
        cache = ops.stack([ops.transpose(part, (0, 2, 1, 3, 4)) for part in parts], axis=1)  # (n, b, 2, c, h, e)
        at = place[0]
        found, _, after = self._task().call_with_cache(ops.maximum(tokens[..., 0] - FIRST, 0), cache, at)
        rows = ops.take(after, ops.reshape(at, (1,)), axis=3)  # (n, b, 2, 1, h, e)
        return self._all(found), ops.reshape(rows, (-1, 1, self.blocks * 2 * self.width))

    @staticmethod
    def _all(found: Any) -> Any:
        found = ops.cast(found, "float32")
        none = ops.full_like(found[..., :FIRST], NEVER)
        return ops.concatenate([none, found], axis=-1)

    def compute_output_spec(self, inputs: Any) -> Any:
        whole = not isinstance(inputs, list | tuple)
        shape = (inputs if whole else inputs[0]).shape[:2]
        kept = 1 if whole else self.blocks * 2 * self.width
        return tuple(keras.KerasTensor((*shape, last), dtype="float32") for last in (self.tokens, kept))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "task": keras.saving.serialize_keras_object(self._task())}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PretrainedText":
        task = config.pop("task")
        return cls(keras.saving.deserialize_keras_object(task) if isinstance(task, dict) else task, **config)


def imported_hub() -> Any:
    """The library that pretrained models come from.

    Raises:
        ImportError: It is not installed; the message says how.
    """
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError("preset= needs KerasHub; install it with pip install 'apptemplates[hub]'.") from error
    return keras_hub


def loaded(preset: str, rank: int) -> tuple[PretrainedText, dict[str, Any]]:
    """A pretrained model, ready to be tuned by low-rank additions to its attention, and its byte pairs.

    Args:
        preset: A name that KerasHub knows, which is downloaded, or a folder that `save_to_preset` wrote.
        rank: Of the additions; all else stays as it is.

    Returns:
        The layer, and what `inference.tokens.opened` makes its tokens from.

    Raises:
        ValueError: There is no such model, or its tokens are not byte pairs.
    """
    hub = imported_hub()
    try:
        task = hub.models.CausalLM.from_preset(preset)
    except (ValueError, OSError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise ValueError(f"preset {preset!r} could not be loaded ({reason}); give a name KerasHub lists, "
                         "or a folder of one.") from error  # fmt: skip
    coder = task.preprocessor.tokenizer
    if not isinstance(coder, hub.tokenizers.BytePairTokenizer):
        raise ValueError(f"preset {preset!r} has tokens of {type(coder).__name__}; those of byte pairs are taken, "
                         "such as GPT-2's.")  # fmt: skip
    merges = [tuple(pair.split(" ")) for pair in coder.merges]
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "BPE", "vocab": dict(coder.vocabulary), "merges": [list(pair) for pair in merges]},
    }
    alone = type(task)(backbone=task.backbone, preprocessor=None)
    alone.backbone.enable_lora(rank)
    return PretrainedText(alone, name="pretrained"), {"kind": "byte pair", "content": content}
