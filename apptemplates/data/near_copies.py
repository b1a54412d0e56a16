"""Pictures and sounds that are nearly the same, such as one saved twice, and some that hold nothing at all."""

import numpy as np

from apptemplates.data.preflight import Finding

SIDE = 16  # of the grid whose brighter and darker neighbours are the mark
APART = 0.06  # share of the brighter neighbours of either that may differ between near copies
FEWEST = 24  # of 256 neighbours that must be brighter for a mark to mean anything
MOST = 6_000  # records that are compared, the first ones
FLAT = 3.0  # spread of brightness, of 255, below which a picture shows nothing
SILENT = 1e-3  # largest sample of a silent sound, of 1
CLIPPED = 0.01  # share of the samples at the very edge from which a sound is clipped


def found_in(media: np.ndarray, labels: np.ndarray, label: str, what: str) -> list[Finding]:
    """Near copies under one label or two, and pictures or sounds that hold nothing.

    Args:
        media: (n, h, w, c) uint8, or sounds (n, samples) float32.
        labels: (n,) words.
        label: Name of their column.
        what: One of them is called.
    """
    empty = nothing_in(media)
    found = []
    if empty.any():
        first = int(np.flatnonzero(empty)[0])
        how = "show nothing (one brightness all over)" if what == "picture" else "are silent"
        found.append(
            Finding(
                f"empty-{what}", "warning", f"{what}s",
                f"{int(empty.sum()):,} of {len(media):,} {what}s {how}, first the one in row {first}.",
                f"Find out what went wrong with these {what}s, and leave them out.",
            )
        )  # fmt: skip
    if what == "sound":
        found += clipped(media)
    rows = np.flatnonzero(~empty)[:MOST]
    pairs = rows[near_pairs(marks_of(media[rows]))] if len(rows) > 1 else np.empty((0, 2), int)
    apart = [pair for pair in pairs if not np.array_equal(media[pair[0]], media[pair[1]])]
    if not apart:
        return found
    both = np.array(apart)
    words = labels.astype(str)
    mixed = words[both[:, 0]] != words[both[:, 1]]
    first, second = both[np.argmax(mixed)]
    under = f", {int(mixed.sum()):,} of them under two labels" if mixed.any() else ""
    found.append(
        Finding(
            f"near-copies-of-{what}s", "warning" if mixed.any() or len(both) > 0.01 * len(media) else "note", label,
            f"{len(both):,} pairs of {what}s are nearly the same{under}, such as rows {first} and {second}.",
            f"Leave one of each pair out, lest nearly the same {what} is learned from and judged by.",
        )
    )  # fmt: skip
    return found


def nothing_in(media: np.ndarray) -> np.ndarray:
    """Which pictures are of one brightness, or which sounds are silent: (n,) bool."""
    if media.dtype == np.uint8:
        return np.array([one.std() < FLAT for one in media], bool)
    return np.abs(media).max(axis=1) < SILENT if len(media) else np.zeros(0, bool)


def clipped(sounds: np.ndarray) -> list[Finding]:
    """Sounds that were recorded too loud."""
    edge = np.abs(sounds).max(axis=1, keepdims=True)
    loud = ((np.abs(sounds) >= 0.999 * np.maximum(edge, SILENT)).mean(axis=1) > CLIPPED) & (edge[:, 0] > 0.5)
    if not loud.any():
        return []
    return [
        Finding(
            "clipped-sounds", "warning", "sounds",
            f"{int(loud.sum()):,} of {len(sounds):,} sounds are cut off at their loudest, first the one in row "
            f"{int(np.flatnonzero(loud)[0])}.",
            "Record them again less loud, or leave them out.",
        )
    ]  # fmt: skip


def marks_of(media: np.ndarray) -> np.ndarray:
    """Perceptual marks (n, 4) uint64: of 256 neighbours in a coarse picture or spectrogram, which is the higher.

    Reference: Zauner, 2010, Implementation and Benchmarking of Perceptual Image Hash Functions (difference hash).
    """
    picture = media.dtype == np.uint8
    coarse = coarse_pictures(media) if picture else coarse_spectrograms(media)
    bits = np.diff(coarse, axis=2) > (1.0 if picture else 0.3)  # (n, 16, 16); less is noise
    packed = np.packbits(bits.reshape(len(bits), -1), axis=1)
    return packed.view(np.uint64)


def coarse_pictures(pictures: np.ndarray) -> np.ndarray:
    """Pictures (n, h, w, c) as means over the cells of a grid: (n, 16, 17) float32."""
    grey = pictures.mean(axis=-1, dtype="float32") if pictures.ndim == 4 else pictures.astype("float32")
    rows = cells(grey.shape[1], SIDE) @ grey  # (16, h) @ (n, h, w)
    return np.asarray(rows @ cells(grey.shape[2], SIDE + 1).T, "float32")


def cells(size: int, number: int) -> np.ndarray:
    """Weights (number, size) that average a line of so many values over equal cells, parts of values included."""
    edges = np.linspace(0, size, number + 1)
    low, high = edges[:-1, None], edges[1:, None]
    places = np.arange(size)[None]
    overlap = np.clip(np.minimum(high, places + 1) - np.maximum(low, places), 0, None)
    return np.asarray(overlap / overlap.sum(axis=1, keepdims=True), "float32")


def coarse_spectrograms(sounds: np.ndarray) -> np.ndarray:
    """Log energy of sounds (n, samples), relative to the loudest, in 16 bands by 17 stretches: (n, 16, 17) float32."""
    length = sounds.shape[1] // (SIDE + 1)
    pieces = sounds[:, : length * (SIDE + 1)].reshape(len(sounds), SIDE + 1, length)
    parts = np.array_split(pieces, 1 + len(sounds) // 512)
    power = np.concatenate([np.abs(np.fft.rfft(part, axis=-1)) ** 2 for part in parts])
    bands = np.stack([part.sum(axis=-1) for part in np.array_split(power, SIDE, axis=-1)], axis=1)
    loudest = np.maximum(bands.max(axis=(1, 2), keepdims=True), 1e-12)
    return np.asarray(np.log(bands / loudest + 1e-3), "float32")  # what is 30 dB below counts as silence


def near_pairs(marks: np.ndarray) -> np.ndarray:
    """Pairs (m, 2) of rows whose marks (n, 4) hardly differ, the first row before the second."""
    pairs = alike(marks, marks)
    return pairs[pairs[:, 1] > pairs[:, 0]]


def pairs_across(media: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pairs (m, 2) of a row of pictures or sounds and one of others that is nearly, but not quite, the same."""
    sides = []
    for one in (media, others):
        shown = np.flatnonzero(~nothing_in(one))[:MOST]
        sides.append((shown, marks_of(one[shown]) if len(shown) else np.empty((0, 4), np.uint64)))
    (first, marks), (second, other_marks) = sides
    pairs = alike(marks, other_marks)
    rows = np.stack([first[pairs[:, 0]], second[pairs[:, 1]]], axis=1)
    return rows[[not np.array_equal(media[here], others[there]) for here, there in rows]]


def alike(marks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Pairs (m, 2) of a row of marks (n, 4) and a row of others (k, 4) that hardly differ."""
    found = [np.empty((0, 2), int)]
    for start in range(0, len(marks), 256):
        part = marks[start : start + 256, None]
        either = np.bitwise_count(part | others[None]).sum(axis=-1, dtype="uint16")
        differ = np.bitwise_count(part ^ others[None]).sum(axis=-1, dtype="uint16")
        here, there = np.nonzero((differ <= APART * either) & (either >= FEWEST))
        found.append(np.stack([here + start, there], axis=1))
    return np.concatenate(found)
