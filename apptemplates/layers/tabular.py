"""Columns of a table as features of a network."""

from typing import Any

import keras
import numpy as np
from keras import ops

PACKAGE = "apptemplates"  # the name under which layers are saved: for ever
TINY = 1e-6  # the least that something is divided by


@keras.saving.register_keras_serializable(package=PACKAGE)
class NumberScale(keras.layers.Layer):
    """Numbers (n, d) on three scales: between quantiles, in standard deviations, and in those of the logarithm.

    On the first, equal steps hold about equally many rows, and values beyond the edges stay at the end, -1 or 1; the
    others go on to +-20. A missing number becomes its column's median, and where the column had missing numbers in
    training, one more feature says so.

    Args:
        columns: Number of columns d.
        bins: Most intervals between the quantiles of a column.
        gaps: Columns whose missing numbers get a feature of their own.

    Output shape: (n, 3 d + number of gaps), float32.

    Reference: Gorishniy et al., 2022, On Embeddings for Numerical Features in Tabular Deep Learning, arXiv:2203.05556.
    """

    def __init__(self, columns: int, bins: int = 40, gaps: tuple[int, ...] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.columns, self.bins, self.gaps = columns, bins, tuple(gaps)

    def build(self, shape: Any = None) -> None:
        for name in ("low", "slope", "median", "mean", "sharpness", "log_mean", "log_sharpness"):
            size = (self.columns, self.bins) if name in ("low", "slope") else (self.columns,)
            setattr(self, name, self.add_weight(name=name, shape=size, initializer="zeros", trainable=False))
        self.built = True

    def adapt(self, values: np.ndarray, important: np.ndarray | None = None) -> "NumberScale":
        """Takes the scales from training rows.

        Args:
            values: (n, d) with NaN where missing.
            important: (n,) bool; more edges are put where these rows differ from the others, see `edges_of`.
        """
        low, slope = np.zeros((self.columns, self.bins)), np.zeros((self.columns, self.bins))
        median, mean, sharpness, log_mean, log_sharpness = np.zeros((5, self.columns))
        for column in range(self.columns):
            whole = values[:, column].astype("float64")
            seen = np.isfinite(whole)
            if not seen.any():
                continue
            edges = edges_of(whole[seen], None if important is None else important[seen], self.bins)
            low[column] = edges[-1]
            low[column, : len(edges) - 1] = edges[:-1]
            slope[column, : len(edges) - 1] = 1 / np.diff(edges)
            median[column] = np.median(whole[seen])
            mean[column], sharpness[column] = center(whole[seen])
            logs = np.sign(whole[seen]) * np.log1p(np.abs(whole[seen]))
            log_mean[column], log_sharpness[column] = center(logs, 1e-3)  # logarithms differ by runtime in the last bit
        self.build()
        self.set_weights([low, slope, median, mean, sharpness, log_mean, log_sharpness])
        return self

    def call(self, values: Any) -> Any:
        missing = ops.not_equal(values, values)  # only NaN differs from itself
        filled = ops.where(missing, self.median, values)
        steps = ops.clip((ops.expand_dims(filled, -1) - self.low) * self.slope, 0.0, 1.0)  # (n, d, bins)
        position = ops.sum(steps, axis=-1) * (2.0 / self.bins) - 1.0
        deviation = ops.clip((filled - self.mean) * self.sharpness, -20.0, 20.0)
        logs = ops.sign(filled) * ops.log(1.0 + ops.abs(filled))
        log_deviation = ops.clip((logs - self.log_mean) * self.log_sharpness, -20.0, 20.0)
        flags = [ops.cast(missing[:, i : i + 1], "float32") for i in self.gaps]
        return ops.concatenate([position, deviation, log_deviation, *flags], axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (*shape[:-1], 3 * self.columns + len(self.gaps))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "columns": self.columns, "bins": self.bins, "gaps": list(self.gaps)}


def center(values: np.ndarray, least: float = 1e-6) -> tuple[float, float]:
    """Mean of a column and 1 / its standard deviation, or 0 where that is below `least` of the mean."""
    mean, spread = float(values.mean()), float(values.std())
    return mean, 1 / spread if spread > least * (abs(mean) + 1e-6) else 0.0


def edges_of(values: np.ndarray, important: np.ndarray | None, bins: int) -> np.ndarray:
    """Increasing edges (at most bins + 1) of the intervals that a column is cut into.

    Without important rows they are quantiles. With them two fifths are quantiles of all values, a fifth quantiles of
    the important ones, and the rest stand close to both sides of where a small tree would part the important rows from
    the others, so that a network can step there.

    Args:
        values: (n,) finite.
        important: (n,) bool or None.
        bins: Most intervals.
    """
    if not len(values):
        return np.array([0.0, 1.0])
    if important is None or important.all() or not important.any():
        edges = np.quantile(values, np.linspace(0, 1, bins + 1))
    else:
        share = max(1, bins // 5)
        whole = np.quantile(values, np.linspace(0, 1, bins - 3 * share + 1))
        rare = np.quantile(values[important], np.linspace(0, 1, share + 1)[1:-1])
        edges = np.concatenate([whole, rare, steps_of(values, important, share)])
    edges = np.unique(edges)
    gaps = np.diff(edges, prepend=-np.inf)
    edges = edges[gaps > 1e-6 * max(edges[-1] - edges[0], 1e-9)]
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + 1.0])


def steps_of(values: np.ndarray, important: np.ndarray, number: int, most: int = 50_000) -> np.ndarray:
    """Neighbouring values on both sides of at most so many cuts between important rows and others.

    The cuts are those of a decision tree on this one column, grown on all important rows and a sample of the others.
    """
    from sklearn.tree import DecisionTreeClassifier

    others = np.random.default_rng(0).permutation(np.flatnonzero(~important))[:most]
    rows = np.concatenate([np.flatnonzero(important), others])
    tree = DecisionTreeClassifier(criterion="entropy", max_leaf_nodes=number + 1, min_samples_leaf=20, random_state=0)
    grown = tree.fit(values[rows, None], important[rows]).tree_
    seen = np.unique(values)
    right = np.clip(np.searchsorted(seen, grown.threshold[grown.feature >= 0], side="right"), 1, max(1, len(seen) - 1))
    return np.concatenate([seen[right - 1], seen[np.minimum(right, len(seen) - 1)]])


@keras.saving.register_keras_serializable(package=PACKAGE)
class PiecewiseLinear(keras.layers.Layer):
    """Positions (n, d) in -1..1 as one ramp for each interval, (n, d x bins), so that a network can bend at every edge.

    Args:
        bins: Intervals of the scale.

    Reference: Gorishniy et al., 2022, arXiv:2203.05556 (piecewise linear encoding).
    """

    def __init__(self, bins: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = bins

    def call(self, position: Any) -> Any:
        steps = ops.expand_dims((position + 1.0) * (self.bins / 2.0), -1)
        ramps = ops.clip(steps - np.arange(self.bins, dtype="float32"), 0.0, 1.0)  # (n, d, bins)
        return ops.reshape(ramps, (-1, position.shape[-1] * self.bins))

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[-1] * self.bins)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins}


def build_preprocessor(
    inputs: dict[str, np.ndarray], *, bins: int, important: np.ndarray | None = None, most_words: int = 64
) -> keras.Model:
    """A model named "preprocessor" from the columns of a prepared table to one matrix of features.

    Numbers go through one `NumberScale`; words become one-hot over the most frequent ones, the others share a place.

    Args:
        inputs: Training rows: float32 (n,) or (n, k), or object arrays (n,) of words.
        bins: Intervals of each number.
        important: (n,) bool, see `NumberScale.adapt`.
        most_words: Words of a column that get a feature of their own.

    Returns:
        A `keras.Model` from a dict of raw columns to (n, features) float32.
    """
    entries = {
        name: keras.Input(column.shape[1:], dtype="string" if column.dtype == object else "float32", name=name)
        for name, column in inputs.items()
    }
    parts, numbers = [], [name for name, column in inputs.items() if column.dtype != object]
    if numbers:
        matrix = np.concatenate([inputs[name].reshape(len(inputs[name]), -1) for name in numbers], axis=1)
        gaps = tuple(int(i) for i in np.flatnonzero(~np.isfinite(matrix).all(axis=0)))
        scale = NumberScale(matrix.shape[1], bins, gaps, name="numbers").adapt(matrix, important)
        flat = [keras.layers.Reshape((int(np.prod(entries[name].shape[1:])),))(entries[name]) for name in numbers]
        parts.append(scale(keras.layers.Concatenate()(flat) if len(flat) > 1 else flat[0]))
    for name, column in inputs.items():
        if column.dtype == object:
            words, counts = np.unique(column.astype(str), return_counts=True)
            known = words[np.argsort(-counts, kind="stable")][:most_words].tolist()
            look = keras.layers.StringLookup(vocabulary=known, output_mode="one_hot", name=f"{name}_words")
            parts.append(look(entries[name]))
    return keras.Model(entries, keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0], name="preprocessor")


def ramps(features: Any, preprocessor: keras.Model, bins: int) -> Any:
    """Features (n, d) of `build_preprocessor` with the positions of numbers made ramps, for a network to start from."""
    names = [layer.name for layer in preprocessor.layers]
    count = preprocessor.get_layer("numbers").columns if "numbers" in names else 0
    if not count:
        return features
    return keras.layers.Concatenate()([PiecewiseLinear(bins)(features[:, :count]), features[:, count:]])


def owners(preprocessor: keras.Model, names: dict[str, list[str]]) -> list[str]:
    """The column that each feature of `build_preprocessor` comes from.

    Args:
        names: For each input what its numbers are called.
    """
    layers, entries = {layer.name: layer for layer in preprocessor.layers}, preprocessor.input.items()
    numbers = [name for entry, tensor in entries if tensor.dtype != "string" for name in names[entry]]
    found = 3 * numbers + ([numbers[i] for i in layers["numbers"].gaps] if numbers else [])
    for entry, tensor in entries:
        if tensor.dtype == "string":
            found += names[entry] * layers[f"{entry}_words"].vocabulary_size()
    return found


def usual_values(preprocessor: keras.Model, columns: list[tuple[str, str]], steps: int = 12) -> dict[str, np.ndarray]:
    """Values that columns took in training: of numbers so many between the quantiles, of words the frequent ones.

    Args:
        preprocessor: Of `build_preprocessor`.
        columns: Input and kind; times and texts have none.
        steps: Most values of a number.

    Returns:
        Input -> values, rising where they are numbers.
    """
    layers, found = {layer.name: layer for layer in preprocessor.layers}, {}
    place = 0
    edges = np.asarray(layers["numbers"].low) if "numbers" in layers else np.zeros((0, 0))
    wanted = dict(columns)
    for entry, tensor in preprocessor.input.items():
        if tensor.dtype == "string":
            if wanted.get(entry) == "category":
                found[entry] = np.array([w for w in layers[f"{entry}_words"].get_vocabulary() if w != "[UNK]"], object)
            continue
        if wanted.get(entry) in ("number", "flag"):
            known = np.unique(edges[place])
            found[entry] = known[np.unique(np.linspace(0, len(known) - 1, steps).round().astype(int))]
        place += int(np.prod(tensor.shape[1:]))
    return found
