"""What makes two pictures alike to a network, as one Report."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.evaluation import explanation_figures, heat_maps, picture_figures
from apptemplates.evaluation.report import Report

SHOWN = 5  # pairs drawn with their maps
CHECKED = 24  # pairs that are explained by covering places; the table names the similarity of the others alone


def explain(
    title: str, likeness: Any, inputs: Mapping[str, np.ndarray], answers: Mapping[str, np.ndarray], seed: int
) -> Report:
    """Where the first picture is like the second: how much less alike they are when a place of the first is covered.

    Args:
        title: Of the application.
        likeness: From second pictures (n, h, w, c) uint8, which stay as they are, to a function from first ones to the
            similarity (n,) of each pair.
        inputs: Both pictures of each pair.
        answers: "similarity" and "match" of each.
        seed: Of the random orders that the maps are held against.

    Returns:
        A Report: `table` has a row a pair; `where` names the part that speaks most for one person.
    """
    first, second = inputs["first"], inputs["second"]
    some, ask, maps = _covered(likeness, inputs)
    trust = heat_maps.faithfulness(ask, first[some].astype("float32"), maps, np.zeros(len(some), int), seed)
    where = np.full(len(first), "", dtype=object)
    where[some] = heat_maps.where(maps["occlusion"])
    table = pd.DataFrame({**{name: answers[name] for name in ("similarity", "match")}, "where": where})
    sides = np.concatenate([first[some[:SHOWN]], second[some[:SHOWN]]], axis=2)
    shown = np.concatenate([maps["occlusion"][:SHOWN], np.zeros_like(maps["occlusion"][:SHOWN])], axis=2)
    titles = [f"similarity {value:.2f}" for value in answers["similarity"][some[:SHOWN]]]
    better = [what for (what, _), gain in trust["better"].items() if gain.low > 0]
    common = pd.Series(where[some]).value_counts()
    said = {
        2: "The maps can be relied on here: covering what they mark makes faces less alike sooner than random places.",
        1: f"The maps can be relied on in part: by {better[0] if better else ''} they beat random places.",
        0: "Do not rely on the maps here: what they mark moves the similarity no sooner than random places do.",
    }
    return Report(
        title=f"{title}: where faces are alike",
        kind="explanation",
        verdict=[
            f"Faces are alike mostly in the {common.index[0]} part of the picture ({common.iloc[0]} of {len(some)}).",
            said[len(better)],
        ],
        table=table,
        figures=[
            picture_figures.heat_maps(sides, {"occlusion of the first": shown}, titles),
            explanation_figures.insertion_deletion(trust["curves"], "places"),
        ],
        notes=heat_maps.notes(trust),
        attributions=heat_maps.by_place(maps),
    )


def attributions(likeness: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Those of `explain` alone: how much each place of a grid over the first picture makes a pair alike."""
    return heat_maps.by_place(_covered(likeness, inputs)[2])


def _covered(
    likeness: Any, inputs: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, heat_maps.Ask, dict[str, np.ndarray]]:
    """Which pairs are looked at, what tells how alike changed first pictures are to the second, and the maps."""
    first, second = inputs["first"], inputs["second"]
    some = np.unique(np.linspace(0, len(first) - 1, min(len(first), CHECKED)).astype(int))
    like_second = likeness(second[some])

    def ask(pictures: np.ndarray) -> np.ndarray:
        return like_second(np.rint(pictures).clip(0, 255).astype("uint8"))[:, None]  # type: ignore[no-any-return]

    maps = heat_maps.occlusion(ask, first[some].astype("float32"), np.zeros(len(some), int))
    return some, ask, {"occlusion": maps}
