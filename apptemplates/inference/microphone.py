"""What a microphone hears, a tenth of a second at a time."""

import queue
from collections.abc import Iterator

import numpy as np

from apptemplates.inference.media import Undecodable


def chunks(rate: int, seconds: float = 0.1) -> Iterator[np.ndarray]:
    """Samples (n,) float32 of the default microphone, without an end.

    Args:
        rate: Samples a second.
        seconds: Length of a chunk.

    Raises:
        Undecodable: There is no microphone, or what reads it is not installed.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise Undecodable(
            "microphone: sounddevice reads it, which is not installed: pip install 'apptemplates[sound]'."
        ) from error
    except OSError as error:  # its own library is part of the system, not of the package
        raise Undecodable(f"microphone: {error}; install PortAudio, which sounddevice needs.") from error
    heard: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

    def keep(samples: np.ndarray, frames: int, moment: object, status: object) -> None:
        heard.put(samples[:, 0].copy())

    try:
        with sounddevice.InputStream(rate, round(rate * seconds), channels=1, dtype="float32", callback=keep):
            while True:
                yield heard.get()
    except sounddevice.PortAudioError as error:
        raise Undecodable(f"microphone: {error}; connect one, or name a file.") from error
