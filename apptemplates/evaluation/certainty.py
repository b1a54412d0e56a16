"""How sure answers said they were, before and after that was mended, and what is left when the unsure are referred."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from apptemplates.evaluation import calibration, figures, metrics, picture_figures

if TYPE_CHECKING:
    from apptemplates.evaluation.report import Report

BEFORE = "ECE before calibration"
LEAST, MOST = 1e-30, 1 - 1e-12


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What was decided, how sure that was said to be, and what was true.

    Args:
        wrong: (n,) bool, whether each decision is wrong.
        sure: (n,) how sure each was, on any rising scale.
        truth: (n,) 0 or 1, or the number of the true class, -1 where it was never learned; or (n, c) bool where several
            are true at once. None where no chances are stated.
        chances: (n,) of 1, or (n, c); None where similarities or the like are stated.
        temperature: What the logits of the chances were divided by to calibrate them; None where they were not.
    """

    wrong: np.ndarray
    sure: np.ndarray
    truth: np.ndarray | None = None
    chances: np.ndarray | None = None
    temperature: float | None = None

    def of_label(self) -> np.ndarray | None:
        """The chance (n,) given to each one's own label, of several the least; 1 where it was never learned."""
        if self.chances is None or self.truth is None:
            return None
        if self.chances.ndim == 1:
            return np.asarray(np.where(self.truth > 0, self.chances, 1 - self.chances))
        if self.truth.ndim == 2:
            return np.asarray(np.where(self.truth, self.chances, 1 - self.chances).min(axis=1))
        own = self.chances[np.arange(len(self.truth)), self.truth]
        return np.asarray(np.where(self.truth < 0, 1.0, own))

    def judged(self) -> tuple[np.ndarray, np.ndarray]:
        """Truth and chances that can be compared: of several classes one a row, and nothing that was never learned."""
        assert self.truth is not None and self.chances is not None
        if self.truth.ndim == 2:
            return self.truth.ravel().astype(int), self.chances.ravel()
        if self.chances.ndim == 1:
            return self.truth.astype(int), self.chances
        known = self.truth >= 0
        chances = self.chances[known]
        return self.truth[known], np.clip(chances / np.maximum(chances.sum(axis=1, keepdims=True), LEAST), 0, 1)


def uncalibrated(chances: np.ndarray, temperature: float) -> np.ndarray:
    """What chances (n,) or (n, c), one class a row, were before their logits were divided by the temperature."""
    chances = np.clip(chances.astype("float64"), LEAST, MOST)
    if chances.ndim == 1:
        return np.asarray(1 / (1 + np.exp(-temperature * (np.log(chances) - np.log1p(-chances)))))
    logits = temperature * np.log(chances)
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def add(report: "Report", stated: Stated) -> None:
    """Adds to a report the pictures of stated chances and of referred answers, and the error of chances before.

    The interval of the ECE is let down by what chance alone makes of it: on few rows it can be nothing else.
    """
    if stated.chances is not None and len(stated.chances):
        truth, chances = stated.judged()
        if "ECE" in report.metrics:
            ece = report.metrics["ECE"]
            ece = ece._replace(low=max(0.0, min(ece.low, ece.value - calibration.chance_ece(chances))))
            report.metrics["ECE"] = report.calibration["ECE"] = ece
        before = None if stated.temperature is None else uncalibrated(chances, stated.temperature)
        if before is not None:
            report.calibration |= {BEFORE: metrics.ece(truth, before), "temperature": stated.temperature}
        report.figures.append(figures.reliability(truth, chances, before=before))
    if len(stated.wrong):
        report.figures.append(picture_figures.risk_coverage(stated.wrong, stated.sure))
