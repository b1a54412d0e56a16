"""A last layer that learns new classes from a handful of examples, without one record of the old ones; NumPy only."""

import numpy as np
from scipy.optimize import minimize
from sklearn.covariance import ledoit_wolf

DRAWN = 200  # features drawn for every class
STRENGTH = 1e-3  # how fast the old columns are held


def moments(features: np.ndarray, place: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the features of every class lie, and how far they spread around there, for each member of an ensemble.

    Args:
        features: (n, members, d) before the last layer.
        place: (n,) number of the class of each.
        classes: How many classes there are.

    Returns:
        Means (members, classes, d), NaN for a class without features, and the covariances (members, d, d) within
        classes, shrunk.

    Reference: Ledoit and Wolf, 2004, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices.
    """
    means = np.full((features.shape[1], classes, features.shape[2]), np.nan)
    for one in np.unique(place):
        means[:, one] = features[place == one].mean(axis=0)
    around = features.swapaxes(0, 1) - means[:, place]  # (members, n, d)
    spread = np.stack([ledoit_wolf(member, assume_centered=True)[0] for member in around])
    return means.astype("float32"), spread.astype("float32")


def met_again(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Where the features of all classes lie once some were met (again): such a class lies between then and now.

    Args:
        before: (members, c, d) means of the classes known before, NaN for a class without features.
        now: (members, more, d) means of what was met, NaN for a class that was not; the first c are those of `before`.
    """
    known = before.shape[1]
    again = now[:, :known]
    both = np.where(np.isfinite(before), (before + again) / 2, again)
    return np.concatenate([np.where(np.isfinite(again), both, before), now[:, known:]], axis=1)


def grown(
    kernel: np.ndarray,
    bias: np.ndarray,
    means: np.ndarray,
    spread: np.ndarray,
    examples: dict[int, int],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The last layer of all classes, learned from features drawn around the mean of each.

    Args:
        kernel, bias: The old layer, (members, d, c) and (members, c).
        means: (members, more, d) of the old classes, then of the new.
        spread: (members, d, d) covariance around each.
        examples: Number of a class -> of how many examples its mean is; such a mean is as much less certain.
        rng: For the draws.

    Returns:
        Kernel (members, d, more) and bias (members, more): softmax regressions that are drawn towards the old columns.

    Reference: Zhu et al., 2021, Prototype Augmentation and Self-Supervision for Incremental Learning.
    """
    found = [regression(*member, examples, rng) for member in zip(kernel, bias, means, spread, strict=True)]
    kernels, biases = zip(*found, strict=True)
    return np.stack(kernels), np.stack(biases)


def regression(
    kernel: np.ndarray,
    bias: np.ndarray,
    means: np.ndarray,
    spread: np.ndarray,
    examples: dict[int, int],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The last layer of one member, as `grown` says."""
    root = np.linalg.cholesky(spread + 1e-6 * np.trace(spread) / len(spread) * np.eye(len(spread)))
    there = np.flatnonzero(np.isfinite(means).all(axis=1))
    wider = np.array([np.sqrt(1 + 1 / examples[int(one)]) if int(one) in examples else 1.0 for one in there])
    normal = rng.standard_normal((len(there), DRAWN, len(root))) @ root.T
    drawn = (means[there, None] + wider[:, None, None] * normal).reshape(-1, len(root))
    target = np.repeat(there, DRAWN)
    more, size = len(means) - len(bias), len(root)
    begin = np.concatenate([np.pad(kernel, ((0, 0), (0, more))), np.pad(bias, (0, more))[None]]).astype("float64")
    begin[-1, len(bias) :] = bias.min()
    held = np.append(np.ones(len(bias)), np.full(more, 0.1))  # a new column has nothing to be held by
    inputs = np.append(drawn, np.ones((len(drawn), 1)), axis=1)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        layer = flat.reshape(begin.shape)
        logits = inputs @ layer
        logits -= logits.max(axis=1, keepdims=True)
        chances = np.exp(logits)
        total = chances.sum(axis=1)
        wrong = np.log(total) - logits[np.arange(len(target)), target]
        chances /= total[:, None]
        chances[np.arange(len(target)), target] -= 1
        away = layer - begin
        value = wrong.mean() + STRENGTH * (held * away**2).sum()
        return value, (inputs.T @ chances / len(target) + 2 * STRENGTH * held * away).ravel()

    found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x.reshape(begin.shape)
    return found[:size].astype("float32"), found[size].astype("float32")
