"""How good decisions among named classes are, and how chances become decisions under a policy."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apptemplates.data.words import parts, to_flags
from apptemplates.evaluation import binary, figures, metrics, picture_figures, selective, thresholds
from apptemplates.policy import Policy

HEALTHY = ("normal", "healthy", "no finding", "negative", "benign", "none", "no", "0", "0.0")  # in order of trust
LEAST = 1e-7


@dataclass(frozen=True)
class Classes:
    """The names of classes, which of them means that there is nothing, and how common each was.

    Args:
        names: In the order of the network's outputs.
        healthy: The name that means "nothing found", or None.
        several: Whether several may be true at once; then the healthy one is no output but the absence of the others.
        prior: The share of the records that each had where it was learned.
    """

    names: tuple[str, ...]
    healthy: str | None
    several: bool
    prior: tuple[float, ...]

    @classmethod
    def of(cls, words: np.ndarray, healthy: str | None = None) -> "Classes":
        """The classes of the words (n,) of records, such as "normal" or "mass|nodule".

        Args:
            words: What was found in each record.
            healthy: The word for nothing; by default a usual one, if it is there.
        """
        distinct = np.unique(words.astype(str))
        several = any(len(parts(word)) > 1 for word in distinct)
        there = sorted({part for word in distinct for part in parts(word)})
        if healthy is None:
            by_word = {word.lower(): word for word in there}
            healthy = next((by_word[word] for word in HEALTHY if word in by_word), None)
        names = [name for name in there if not (several and name == healthy)]
        prior = np.clip(to_flags(words, names).mean(axis=0), 1e-3, 1 - 1e-3)
        return cls(tuple(names), healthy, several, tuple(float(share) for share in prior))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Classes":
        """The classes that `to_json` wrote."""
        given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in content.items()}
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}

    def grown(self, words: np.ndarray) -> "Classes":
        """With the classes that stand in other records and were not known, and the shares that all have there."""
        there = sorted({part for word in np.unique(words.astype(str)) for part in parts(word)})
        fresh = [name for name in there if name not in self.names and not (self.several and name == self.healthy)]
        names, old = (*self.names, *fresh), [*self.prior, *[0.0] * len(fresh)]
        now = to_flags(words, names).mean(axis=0)
        # what is not there keeps the share it had: the network still expects it
        prior = np.clip(np.where(now > 0, now, old), 1e-3, 1 - 1e-3)
        return dataclasses.replace(self, names=names, prior=tuple(float(share) for share in prior))

    @property
    def ill(self) -> np.ndarray:
        """Places of all classes but the healthy one."""
        return np.array([place for place, name in enumerate(self.names) if name != self.healthy], int)

    @property
    def binary(self) -> bool:
        """Whether there are two classes, of which one is the case that is looked for."""
        return len(self.names) == 2 and not self.several

    @property
    def positive(self) -> int:
        """Of two classes the place of the one that is looked for."""
        return int(self.ill[-1])

    @property
    def judges_ill(self) -> bool:
        """Whether there are healthy and ill ones, so that sensitivity and specificity mean something."""
        return self.several or self.healthy in self.names or self.binary

    def is_ill(self, said: np.ndarray) -> np.ndarray:
        """Whether anything is found (n,), from flags (n, c)."""
        places = [self.positive] if self.binary else self.ill
        return np.asarray(said[:, places].any(axis=1))


# ---- decisions ---------------------------------------------------------------


def chances(logits: np.ndarray, several: bool) -> np.ndarray:
    """Chances (n, c) of logits (n, c), as the layer `ClassChances` gives them."""
    if several:
        return 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def log_odds(classes: Classes, chances: np.ndarray) -> np.ndarray:
    """What a threshold is set on: (n, 1) ill against healthy, or (n, c) each class where several may be true."""
    chances = np.clip(chances.astype("float64"), LEAST, 1 - LEAST)
    if classes.several:
        return np.log(chances) - np.log1p(-chances)
    healthy = [place for place in range(len(classes.names)) if place not in _cases(classes)]
    best = np.log(chances[:, _cases(classes)]).max(axis=1)
    return (best - np.log(chances[:, healthy[0]]))[:, None]


def _cases(classes: Classes) -> list[int]:
    return [classes.positive] if classes.binary else list(classes.ill)


def shift_for(classes: Classes, prevalence: float | None) -> np.ndarray:
    """What to add to the logits (c,) of two classes where the one looked for has another share than it had."""
    shift = np.zeros(len(classes.names))
    if prevalence is not None:
        had = classes.prior[classes.positive]
        shift[classes.positive] = np.log(prevalence / (1 - prevalence)) - np.log(had / (1 - had))
    return shift


def decision(policy: Policy, classes: Classes, chances: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float]:
    """The offset of each class (c,) and how sure an answer must be, from held-out rows.

    Without a wish, every class counts the same however common it is (the decision that is best by balanced accuracy);
    costs set the chance from which an alarm pays; a least sensitivity or specificity is kept with one case to spare, so
    that it holds on average for new records too. Of both, what lies between the two thresholds is referred.

    Args:
        policy: Of the template.
        classes: Names and shares.
        chances: (n, c) of held-out rows, as the graph gives them.
        truth: (n, c) bool, what was true.

    Reference: Menon et al., 2021, Long-tail Learning via Logit Adjustment, arXiv:2007.07314; Angelopoulos et al., 2022,
    Conformal Risk Control, arXiv:2208.02814.
    """
    offset, least = _offset(policy, classes, chances, truth)
    said, sure = choose(classes, chances, offset)
    if policy.refer_rate is not None:
        least = max(least, selective.least_by_rate(sure, policy.refer_rate))
    if policy.max_error is not None:
        kept = selective.least_by_error((said != truth).any(axis=1), sure, policy.max_error)
        least = 2.0 if kept is None else max(least, kept)
    return offset, least


def choose(classes: Classes, chances: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is said (n, c) bool and how sure that is (n,), as the layer `ClassChoice` decides."""
    chances = np.clip(chances.astype("float32"), LEAST, 1 - LEAST)
    offset = offset.astype("float32")
    if classes.several:
        score = np.log(chances) - np.log(1 - chances) + offset
        return score >= 0, (1 / (1 + np.exp(-np.abs(score)))).min(axis=1)
    score = np.log(chances) + offset
    said = np.zeros(score.shape, bool)
    said[np.arange(len(score)), score.argmax(axis=1)] = True
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    return said, (weight.max(axis=1) / weight.sum(axis=1)).astype("float32")


def _offset(policy: Policy, classes: Classes, chances: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float]:
    prior = np.array(classes.prior)
    balanced = -(np.log(prior) - np.log1p(-prior)) if classes.several else -np.log(prior)
    if classes.binary and policy.prevalence is not None:
        now = np.where(np.arange(2) == classes.positive, policy.prevalence, 1 - policy.prevalence)
        balanced = -np.log(now)
    wished = (policy.cost_of_miss, policy.cost_of_alarm, policy.min_sensitivity, policy.min_specificity)
    if all(wish is None for wish in wished):
        return balanced, 0.0
    odds = log_odds(classes, chances)
    cases = truth if classes.several else classes.is_ill(truth)[:, None]
    places, apart = np.zeros(odds.shape[1]), 0.0
    for k in range(odds.shape[1]):
        places[k], half = thresholds.by_odds(policy, odds[:, k], cases[:, k])
        apart = max(apart, half)
    least = 0.0 if apart == 0 else float(1 / (1 + np.exp(-apart)))
    if classes.several:
        return -places, least
    offset = np.zeros(len(classes.names))
    offset[_cases(classes)] = -places[0]
    return offset, least


# ---- numbers -----------------------------------------------------------------


def score(
    classes: Classes,
    truth: np.ndarray,
    chances: np.ndarray,
    said: np.ndarray,
    sure: np.ndarray,
    refer: np.ndarray,
    prevalence: float | None = None,
    costs: tuple[float, float] | None = None,
) -> dict[str, float]:
    """The numbers, by name.

    Args:
        classes: Names and shares.
        truth: (n, c) bool; a row without any, where not several may be true, holds a class that was never learned.
        chances: (n, c) float.
        said: (n, c) bool.
        sure: (n,) how sure.
        refer: (n,) bool, whether it goes to a person.
        prevalence: The share of ill ones that predictive values are given for; by default that of the truth.
        costs: Of a miss and of a needless alarm, or None; of each finding where several may be true.
    """
    wrong = (said != truth).any(axis=1)
    areas = [metrics.roc_auc(truth[:, k], chances[:, k]) for k in range(len(classes.names))]
    found = {"ROC AUC": areas[classes.positive] if classes.binary else _mean(areas)}
    found["accuracy"] = float(1 - wrong.mean()) if len(wrong) else float("nan")
    recalls = [metrics.recall(truth[:, k], said[:, k]) for k in range(len(classes.names))]
    found["balanced accuracy"] = _mean(recalls)
    if classes.judges_ill:
        ill, alarm = classes.is_ill(truth), classes.is_ill(said)
        sensitivity, specificity = metrics.recall(ill, alarm), 1 - metrics.false_alarm_rate(ill, alarm)
        found |= {"sensitivity": sensitivity, "specificity": specificity}
        share = float(ill.mean()) if prevalence is None and len(ill) else prevalence
        found |= predictive_values(sensitivity, specificity, share or 0.0)
    if costs is not None:  # of what nobody is asked about
        found["cost per 1,000"] = cost_per_thousand(classes, truth[~refer], said[~refer], *costs)
    known = truth.any(axis=1) | classes.several
    found |= _calibration(classes, truth[known], chances[known])
    found |= {
        "error rate": float(wrong.mean()) if len(wrong) else float("nan"),
        "error rate of the surest 90 %": selective.error_of_surest(wrong, sure, 0.9),
        "area under risk and coverage": selective.area(wrong, sure),
        "referred": float(refer.mean()) if len(refer) else float("nan"),
        "error rate when not referred": float(wrong[~refer].mean()) if (~refer).any() else float("nan"),
    }
    return found


def cost_per_thousand(classes: Classes, truth: np.ndarray, said: np.ndarray, miss: float, alarm: float) -> float:
    """Cost of mistakes per 1,000 records: of misses and needless alarms, of each finding where several may be true."""
    if classes.several:
        each = [metrics.cost_per_thousand(truth[:, k], said[:, k], miss, alarm) for k in range(truth.shape[1])]
        return float(np.sum(each))
    return metrics.cost_per_thousand(classes.is_ill(truth), classes.is_ill(said), miss, alarm)


def predictive_values(sensitivity: float, specificity: float, prevalence: float) -> dict[str, float]:
    """What an answer means where so many are ill: the share of alarms, and of all-clears, that are right."""
    hits, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    clear, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    return {
        "PPV": hits / (hits + false) if hits + false > 0 else float("nan"),
        "NPV": clear / (clear + missed) if clear + missed > 0 else float("nan"),
    }


def _calibration(classes: Classes, truth: np.ndarray, chances: np.ndarray) -> dict[str, float]:
    if classes.several:  # each class is a yes or no of its own
        yes, chance = truth.ravel().astype(int), chances.ravel()
        names = {"log loss": metrics.log_loss, "Brier score": metrics.brier, "ECE": metrics.ece}
        return {name: measure(yes, chance) for name, measure in names.items()}
    place, chance = truth.argmax(axis=1), _summing_to_one(chances)
    return {
        "log loss": metrics.log_loss(place, chance),
        "Brier score": metrics.brier(place, chance),
        "ECE": metrics.ece(place, chance),
    }


def _summing_to_one(chances: np.ndarray) -> np.ndarray:
    return np.clip(chances / np.maximum(chances.sum(axis=1, keepdims=True), LEAST), 0, 1)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def by_owner(
    classes: Classes, truth: np.ndarray, chances: np.ndarray, owner: np.ndarray, rows_of_owner: np.ndarray
) -> dict[str, float]:
    """Numbers for each patient instead of each picture: the mean chance over the pictures of one.

    Args:
        owner: (n,) ids.
        rows_of_owner: (n,) how many rows that owner has in all, so that one drawn twice by a bootstrap counts twice.
    """
    _, first, place, count = np.unique(owner, return_index=True, return_inverse=True, return_counts=True)
    times = np.maximum(1, np.round(count / rows_of_owner[first])).astype(int)
    areas = []
    for k in [classes.positive] if classes.binary else range(len(classes.names)):
        mean = np.bincount(place, weights=chances[:, k]) / count
        ill = np.bincount(place, weights=truth[:, k]) > 0
        areas.append(metrics.roc_auc(np.repeat(ill, times), np.repeat(mean, times)))
    return {"ROC AUC per patient": _mean(areas)}


# ---- pictures and the simple method -------------------------------------------


def pictures(classes: Classes, truth: np.ndarray, chances: np.ndarray, said: np.ndarray) -> list[Any]:
    """ROC, scores, confusion."""
    drawn = []
    if classes.binary:
        chance, ill = chances[:, classes.positive], truth[:, classes.positive]
        names = tuple(classes.names[k] for k in (1 - classes.positive, classes.positive))
        drawn.append(figures.roc(ill, chance))
        drawn.append(figures.score_histogram(ill, chance, names=names, label="probability"))  # type: ignore[arg-type]
    else:
        drawn.append(picture_figures.roc_of_classes(classes.names, truth, chances))
    if not classes.several:
        drawn.append(picture_figures.confusion(classes.names, truth, said))
    return drawn


def fit_baseline(features: np.ndarray, truth: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """One logistic regression for each class, as arrays; a class that is never or always true has its share alone."""
    weights, bias = np.zeros((truth.shape[1], features.shape[1])), np.zeros(truth.shape[1])
    for k, column in enumerate(truth.T):
        if 0 < column.sum() < len(column):
            learned = binary.fit_logistic(features, column, seed)
            weights[k], bias[k] = learned["weights"], learned["bias"][0]
        else:
            bias[k] = 10.0 if column.any() else -10.0
    return {"weights": weights.astype("float32"), "bias": bias.astype("float32")}


def answer_baseline(learned: Mapping[str, np.ndarray], features: np.ndarray, classes: Classes) -> np.ndarray:
    """Chances (n, c) of what `fit_baseline` learned; a class it never met has hardly any."""
    chances = 1 / (1 + np.exp(-np.clip(features @ learned["weights"].T + learned["bias"], -30, 30)))
    unmet = len(classes.names) - chances.shape[1]
    chances = np.pad(chances, ((0, 0), (0, unmet)), constant_values=LEAST)
    return chances if classes.several else chances / chances.sum(axis=1, keepdims=True)
