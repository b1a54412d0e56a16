"""From clips to batches of pictures of sound."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from apptemplates.data import batches, sound_augment

AT_ONCE = 64  # clips; what is made of more no longer fits into the caches of a CPU


@dataclass(frozen=True)
class ClipBatches:
    """Batches of pictures of sound from clips, which differ a little on every pass while a network learns.

    Args:
        preprocessor: `keras.Model` from {"sound": (n, samples)} to pictures (n, bands, frames, 1).
        choices: How clips are varied, as `sound_augment` takes it.
        rate: Samples a second.
        seconds: Length of a clip.
        noise: Gives background (m,) float32; called where clips are varied.
        seed: Of all draws.
    """

    preprocessor: keras.Model
    choices: Mapping[str, float]
    rate: int
    seconds: float
    noise: Callable[[], np.ndarray]
    seed: int

    def made(
        self,
        clips: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None,
        batch_size: int,
        *,
        members: int,
        training: bool,
        loose: np.ndarray,
    ) -> Any:
        """A `tf.data.Dataset` of (pictures, target (n, members, c)[, weight]).

        Args:
            clips: (n, samples) float32.
            target: (n, c) float32.
            weight: (n,) or None.
            batch_size: Clips in a batch.
            members: Networks side by side that all learn the same.
            training: Whether clips are shuffled and varied.
            loose: (c,) bool, which classes are no word that must stay whole.
        """
        if not training:
            parts = (clips[start : start + AT_ONCE] for start in range(0, len(clips), AT_ONCE))
            pictures = np.concatenate([np.asarray(self.preprocessor({"sound": part})) for part in parts])
            repeated = np.repeat(target[:, None], members, axis=1)
            at_once = 8 * batch_size  # no gradients take room
            return batches.shuffled(pictures, repeated, at_once, weight=weight, training=False, seed=self.seed)
        given = batches.shuffled(clips, target, batch_size, weight=weight, training=True, seed=self.seed)
        given = sound_augment.augment(given, self.choices, self.rate, self.noise(), self.seed, loose)
        given = given.map(self._pictured, num_parallel_calls=2)
        given = sound_augment.hide(given, self.choices, self.seconds, self.seed)

        def for_all(picture: Any, target: Any, *weight: Any) -> Any:
            return picture, keras.ops.repeat(target[:, None], members, axis=1), *weight

        return given.map(for_all)

    def varied(self, clips: np.ndarray, copies: int) -> np.ndarray:
        """Pictures (n x copies, bands, frames, 1) of clips (n, samples) that are varied, but with nothing hidden.

        Those of one clip follow each other.
        """
        many = np.repeat(clips, copies, axis=0)
        given = batches.shuffled(many, np.arange(len(many)), AT_ONCE, training=False, seed=self.seed)
        changed = sound_augment.augment(given, self.choices, self.rate, self.noise(), self.seed)
        return np.concatenate([some for some, _ in changed.map(self._pictured).as_numpy_iterator()])

    def _pictured(self, sound: Any, *rest: Any) -> Any:
        return self.preprocessor({"sound": sound}), *rest
