"""Whether two records show the same person: how often it errs either way, the threshold, and what that is worth.

A pair of strangers that is accepted is a false accept (their share is the FAR), a pair of one person that is not is a
false reject; the TAR is the share of pairs of one person that are accepted.
"""

from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from apptemplates.evaluation import figures, metrics
from apptemplates.evaluation.figures import CHANCE, INK, OURS, RECORDS, blank, counts, thin
from apptemplates.evaluation.intervals import Metric, resamples
from apptemplates.evaluation.wording import number

ENOUGH = 10  # strangers that must lie above a threshold before their share is told by counting
RATES = (0.01, 0.001)
SHARES = (0.5, 0.25, 0.75, 0.0)  # of another similarity, the likeliest first


def score(same: np.ndarray, similarity: np.ndarray, match: np.ndarray) -> dict[str, float]:
    """The numbers, by name.

    Args:
        same: (n,) 1 where a pair shows one person.
        similarity: (n,) numbers, more is more alike.
        match: (n,) bool, what was decided.
    """
    same, match = np.asarray(same) > 0, np.asarray(match).astype(bool)
    accepted, rejected = share(match[~same]), share(~match[same])
    accepting = {f"TAR at FAR {rate:g}": true_accepts(same, similarity, rate) for rate in RATES}
    return {
        "equal error rate": equal_error_rate(same, similarity),
        "ROC AUC": metrics.roc_auc(same, similarity),
        **accepting,
        "false accept rate": accepted,
        "false reject rate": rejected,
        "balanced accuracy": 1 - (accepted + rejected) / 2,
    }


def share(of: np.ndarray) -> float:
    """How many of these are true, 0..1; NaN of none."""
    return float(np.mean(of)) if len(of) else float("nan")


def equal_error_rate(same: np.ndarray, similarity: np.ndarray) -> float:
    """The rate of errors at the threshold where strangers accepted and own rejected are equally frequent.

    Args:
        same: (n,) 1 where a pair shows one person.
        similarity: (n,) numbers.

    Returns:
        A number in 0..1; NaN without pairs of both kinds.
    """
    accepts, rejects = error_rates(same, similarity)
    if np.isnan(accepts).any() or np.isnan(rejects).any():
        return float("nan")
    # as the threshold falls accepts rise and rejects fall; between the two steps where they cross lies a straight line
    after = int(np.argmax(accepts >= rejects))
    before = max(after - 1, 0)
    gap = rejects - accepts
    part = gap[before] / (gap[before] - gap[after]) if gap[before] > gap[after] else 0.0
    return float(accepts[before] + part * (accepts[after] - accepts[before]))


def error_rates(same: np.ndarray, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False accept and false reject rates (m,) at every threshold, from above the highest similarity downwards."""
    own = np.asarray(same) > 0
    hits, alarms, positives = counts(own, np.asarray(similarity))
    strangers = len(own) - positives
    with np.errstate(invalid="ignore"):
        accepts = np.append(0, alarms - hits) / np.float64(strangers)
        rejects = 1 - np.append(0, hits) / np.float64(positives)
    return accepts, rejects


def true_accepts(same: np.ndarray, similarity: np.ndarray, rate: float) -> float:
    """The greatest share of pairs of one person accepted while at most this share of strangers is.

    Returns:
        A number in 0..1; NaN without pairs of both kinds, and where there are too few strangers to tell: one alone
        would exceed the rate.
    """
    own = np.asarray(same) > 0
    if own.all() or not own.any() or rate * (~own).sum() < 1:
        return float("nan")
    accepts, rejects = error_rates(own, similarity)
    return float(1 - rejects[accepts <= rate].min())


def stranger_scale(
    similarity: np.ndarray, first: np.ndarray, second: np.ndarray, seed: int = 0, draws: int = 100, most: int = 4096
) -> dict[str, np.ndarray]:
    """How alike strangers are: at each threshold the share of them accepted, and how sure that share is.

    Args:
        similarity: (n,) of pairs of strangers.
        first: (n,) int, who is the first of each pair, 0, 1, ...
        second: (n,) int, who is the second.
        seed: Of the bootstrap draws of people.
        draws: How many; people are drawn, since pairs that share a person are alike.
        most: Thresholds that are kept.

    Returns:
        threshold (m,) falling, rate (m,) the share of pairs at or above it, low and high (m,) its 95 % interval,
        pairs (1,) and people (1,); no vector and no picture. Empty where there are no strangers.
    """
    n = len(similarity)
    order = np.argsort(-similarity, kind="stable")
    # every one of the highest, where decisions are taken, and ever fewer of the rest
    kept = np.unique(np.rint(np.geomspace(1, n, most)).astype(int)) - 1 if n else np.empty(0, int)
    if n <= most:
        kept = np.arange(n)
    values = similarity[order].astype("float64")
    kept = np.unique(np.searchsorted(-values, -values[kept], "right") - 1)  # equal ones are accepted together
    people = int(max(first.max(), second.max())) + 1 if n else 0
    rates = np.empty((draws, len(kept)))
    for draw, rows in enumerate(resamples(people, None, draws, seed)):
        times = np.bincount(rows, minlength=people).astype("float32")
        weight = np.cumsum((times[first] * times[second])[order], dtype="float64")
        rates[draw] = weight[kept] / max(weight[-1], 1e-9)
    spread = np.quantile(rates, [0.025, 0.975], axis=0) if people > 1 else np.zeros((2, len(kept)))
    counted = (kept + 1) / max(n, 1)
    low, high = np.minimum(spread[0], counted), np.maximum(spread[1], counted)
    # none among n tells that the share is below 3 / n, whatever the draws say
    high = np.maximum(high, np.minimum(1.0, counted + 3 / max(n, 1)))
    return {
        "threshold": values[kept].astype("float32"),
        "rate": counted,
        "low": low,
        "high": high,
        "pairs": np.array([n]),
        "people": np.array([people]),
    }


def threshold_at(scale: dict[str, np.ndarray], allowed: float) -> tuple[float, bool]:
    """The lowest threshold at which at most the allowed share of strangers is accepted.

    Where fewer than ten strangers would lie above it, their similarities are carried on as an exponential tail, as the
    highest values of most quantities run.

    Args:
        scale: What `stranger_scale` gave.
        allowed: Share of strangers, in (0, 1).

    Returns:
        (threshold, counted): False where it had to be carried on beyond what could be counted.

    Reference: Pickands, 1975, Statistical Inference Using Extreme Order Statistics.
    """
    threshold, rate, pairs = scale["threshold"].astype("float64"), scale["rate"], int(scale["pairs"][0])
    if not pairs:
        return 1.0, False
    if allowed * pairs >= ENOUGH:
        within = np.flatnonzero(rate <= allowed)
        if not len(within):  # more than that are equally alike
            return float(np.nextafter(threshold[0].astype("float32"), np.float32(2))), True
        if within[-1] == len(rate) - 1 or pairs > len(rate):  # of many not every one is kept
            return float(threshold[within[-1]]), True
        # just above the next stranger: all that are more alike than the allowed ones still count
        return float(np.nextafter(threshold[within[-1] + 1].astype("float32"), np.float32(2))), True
    start = int(np.searchsorted(rate, min(max(3 * ENOUGH / pairs, allowed), 1.0)))
    start = min(start, len(rate) - 1)
    share_above = np.diff(rate[: start + 1], prepend=0.0)
    excess = float(((threshold[: start + 1] - threshold[start]) * share_above).sum() / rate[start])
    return float(min(1.0, threshold[start] + excess * np.log(max(rate[start] / allowed, 1.0)))), False


def rate_at(scale: dict[str, np.ndarray], threshold: float) -> Metric:
    """The share of strangers accepted at a threshold, with its interval over people."""
    place = int(np.searchsorted(-scale["threshold"].astype("float64"), -threshold, "right")) - 1
    pairs = int(scale["pairs"][0])
    if not pairs:
        return Metric(float("nan"))
    if place < 0:
        return Metric(0.0, 0.0, min(1.0, 3 / pairs))
    return Metric(*(float(scale[name][place]) for name in ("rate", "low", "high")))


def all_strangers(
    vectors: np.ndarray, person: np.ndarray, most: int = 2_000_000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Similarity, first and second person (m,) of every pair of strangers among directions (n, d) of people 0, 1, ...

    Of more than `most` pairs only those among the first records are taken.
    """
    n = min(len(vectors), int((1 + np.sqrt(1 + 8 * most)) // 2))
    first, second = np.triu_indices(n, 1)
    apart = person[first] != person[second]
    first, second = first[apart], second[apart]
    alike = (vectors[:n] @ vectors[:n].T)[first, second]
    return alike, person[first], person[second]


def pictures(same: np.ndarray, similarity: np.ndarray, threshold: float | None) -> list[Figure]:
    """ROC, DET and the spread of similarities; none where all pairs are of one kind.

    Args:
        same: (n,) 1 where a pair shows one person.
        similarity: (n,).
        threshold: In use, or None.
    """
    same = np.asarray(same) > 0
    if same.all() or not same.any():
        return []
    return [
        figures.roc(same, similarity, threshold=threshold, names=("pairs", "")),
        detection_tradeoff(same, similarity, threshold),
        figures.score_histogram(same, similarity, threshold, names=("strangers", "same person"), label="similarity"),
    ]


def detection_tradeoff(same: np.ndarray, similarity: np.ndarray, threshold: float | None = None) -> Figure:
    """False rejects at every rate of false accepts, on the scale where bells become straight lines (DET).

    Args:
        same: (n,) 1 where a pair shows one person.
        similarity: (n,).
        threshold: In use, marked; or None.

    Reference: Martin et al., 1997, The DET Curve in Assessment of Detection Task Performance.
    """
    figure, axes = blank(
        "Own rejected against strangers accepted",
        "Share of pairs of one person that are rejected against the share of strangers that are accepted, both on the "
        "scale of a bell curve, which shows small rates as well as large ones. Further down and left is better; the "
        "dotted line is where both are equal."
        + (" The diamond is the threshold in use." if threshold is not None else ""),
        height=4.2,
    )
    bell = NormalDist()
    least = 1 / max(10, 2 * len(same))
    accepts, rejects = error_rates(same, similarity)
    accepts, rejects = (np.clip(rate, least, 1 - least) for rate in thin(accepts, rejects, 2000))
    axes.plot([bell.inv_cdf(rate) for rate in accepts], [bell.inv_cdf(rate) for rate in rejects], **OURS)
    ends = bell.inv_cdf(least), bell.inv_cdf(0.6)
    axes.plot(ends, ends, **CHANCE)
    if threshold is not None:
        match = similarity >= threshold
        point = [min(max(share(part), least), 1 - least) for part in (match[~same], ~match[same])]
        axes.plot(*[bell.inv_cdf(rate) for rate in point], "D", color=INK, markersize=7, label="threshold in use")
        axes.legend(frameon=False, fontsize=9)
    ticks = [rate for rate in (1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5) if rate >= least]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([bell.inv_cdf(rate) for rate in ticks])
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * bell.cdf(value):.3g} %"))
    axes.set(xlim=ends, ylim=ends, xlabel="strangers accepted", ylabel="own rejected")
    return figure


def worst_rows(same: np.ndarray, similarity: np.ndarray, most: int = 4) -> np.ndarray:
    """Rows of the most alike strangers and of the least alike pairs of one person, so many of each."""
    same, order = np.asarray(same) > 0, np.argsort(similarity, kind="stable")
    return np.concatenate([order[~same[order]][::-1][:most], order[same[order]][:most]])


def worst_pairs(same: np.ndarray, similarity: np.ndarray, first: np.ndarray, second: np.ndarray) -> Figure:
    """Pairs side by side, strangers above and one person below.

    Args:
        same: (n,) bool.
        similarity: (n,).
        first, second: (n, h, w, c) uint8.
    """
    columns = max(int(same.sum()), int((~same).sum()), 1)
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    figure.set_gid(RECORDS)
    figure.set_label(
        "The worst pairs. Above, strangers that look most alike to it; below, pairs of one person that look least "
        "alike. Pictures under a wrong name and faces hardly to be seen end up here, too: look at them first."
    )
    for kind, place in ((False, 0), (True, columns)):
        for column, row in enumerate(np.flatnonzero(same == kind)):
            axes = figure.add_subplot(2, columns, place + column + 1)
            both = np.concatenate([first[row], second[row]], axis=1)
            axes.imshow(both if both.shape[-1] == 3 else np.repeat(both, 3, axis=-1))
            axes.set_title(number(float(similarity[row])), fontsize=9, color=INK, loc="left")
            axes.set_axis_off()
    return figure


def best_share(same: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """The share of another similarity (n,), beside one, by which pairs are told apart best; one of `SHARES`."""
    areas = [metrics.roc_auc(same, (1 - part) * one + part * other) for part in SHARES]
    return SHARES[int(np.argmax(areas))]
