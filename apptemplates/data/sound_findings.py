"""What sounds show before anything is learned from them: copies, and lengths that speak of another rate."""

from typing import Any

import numpy as np

from apptemplates.data import near_copies, picture_findings
from apptemplates.data.preflight import Finding

FACTOR = 1.8  # by which usual clips are longer or shorter than expected


def of_clips(
    given: np.ndarray, sounds: np.ndarray, labels: np.ndarray, columns: tuple[str, str], rate: int, seconds: float
) -> list[Finding]:
    """Sounds that are there twice, or nearly, and clips that seem to have another rate.

    Args:
        given: (n,) or (n, samples) of the column, as they came.
        sounds: (n, samples) decoded.
        labels: (n,) words.
        columns: Names of the columns of sounds and of labels.
        rate, seconds: As for `odd_lengths`.
    """
    decoded = sounds, labels, columns[1], "sound"
    found = [*picture_findings.copies(*decoded), *near_copies.found_in(*decoded)]
    return [*found, *odd_lengths(given, columns[0], rate, seconds)]


def odd_lengths(clips: np.ndarray, column: str, rate: int, seconds: float) -> list[Finding]:
    """Arrays without a rate that would last much longer or shorter than a clip, as those of another rate do.

    Args:
        clips: (n,) or (n, samples) of the column; what is no array of samples has a rate of its own.
        column: Its name.
        rate: Samples a second that an array without a rate is taken to have.
        seconds: Expected length of a clip.
    """
    lengths = [len(clip) for clip in clips if is_bare(clip)]
    usual = float(np.median(lengths)) / rate if lengths else seconds
    if usual <= 0 or seconds / FACTOR <= usual <= seconds * FACTOR:
        return []
    return [
        Finding(
            "odd-lengths", "warning", column,
            f"The clips in column {column!r} are arrays without a rate; at rate={rate:,} they last {usual:.3g} s, "
            f"while seconds={seconds:g} is expected.",
            "If they were recorded at another rate, give pairs of samples and rate; else choose seconds to fit.",
        )
    ]  # fmt: skip


def is_bare(clip: Any) -> bool:
    """Whether a clip is an array of samples that comes without its rate."""
    return isinstance(clip, np.ndarray | list) and np.ndim(clip) in (1, 2) and np.asarray(clip).dtype.kind in "iuf"
