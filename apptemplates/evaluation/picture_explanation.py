"""Where pictures decided, as one Report."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from apptemplates.evaluation import explanation_figures, heat_maps, picture_figures
from apptemplates.evaluation.report import Report

SHOWN = 6  # pictures drawn with their maps
CHECKED = 64  # pictures that the maps' faithfulness is measured on
METHODS = {"Grad-CAM": "gradient at the feature map", "occlusion": "covering places"}


def explain(
    title: str,
    backbone: Any,
    head: Any,
    ask: heat_maps.Ask,
    pictures: np.ndarray,
    places: np.ndarray,
    said: Mapping[str, np.ndarray],
    seed: int,
    where: Callable[[np.ndarray], list[str]] = heat_maps.where,
    summary: str = "The answers were seen mostly in the {} part of the pictures",
    drawn: Callable[[np.ndarray, dict[str, np.ndarray], list[str]], Any] = picture_figures.heat_maps,
) -> Report:
    """Heat maps of every answer, and how far to trust them.

    Args:
        title: Of the application.
        backbone: `keras.Model` from pictures to a feature map.
        head: `keras.Model` from that to logits.
        ask: From pictures (n, h, w, c) float32 to chances (n, k), the whole model.
        pictures: (n, h, w, c) uint8.
        places: (n,) which class the maps are of.
        said: Columns of the table that come first: what was answered.
        seed: Of the random orders.
        where: From maps (n, h, w) to words that say where each is brightest.
        summary: The sentence about the most common of those words.
        drawn: The figure of pictures, maps by method and titles.

    Returns:
        A Report: `table` has a row a picture with the part of it that spoke most for the answer.
    """
    asked = pictures.astype("float32")
    maps = {"Grad-CAM": heat_maps.grad_cam(backbone, head, asked, places)}
    some = np.unique(np.linspace(0, len(pictures) - 1, min(len(pictures), CHECKED)).astype(int))
    checked = {"Grad-CAM": maps["Grad-CAM"][some], "occlusion": heat_maps.occlusion(ask, asked[some], places[some])}
    trust = heat_maps.faithfulness(ask, asked[some], checked, places[some], seed)
    table = pd.DataFrame({**said, "where": where(maps["Grad-CAM"])})
    titles = [" ".join(str(column[row]) for column in list(said.values())[:1]) for row in some[:SHOWN]]
    shown = {name: values[:SHOWN] for name, values in checked.items()}
    verdict = [sentence(name, trust) for name in checked]
    common = table["where"].value_counts()
    verdict.insert(0, f"{summary.format(common.index[0])} ({common.iloc[0]} of {len(table)}).")
    return Report(
        title=f"{title}: where it was seen",
        kind="explanation",
        verdict=verdict,
        table=table,
        figures=[
            drawn(pictures[some[:SHOWN]], shown, titles),
            explanation_figures.insertion_deletion(trust["curves"], "places"),
        ],
        notes=heat_maps.notes(trust),
        attributions=heat_maps.by_place({"Grad-CAM": maps["Grad-CAM"]}),
    )


def attributions(backbone: Any, head: Any, pictures: np.ndarray, places: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Those of `explain` alone: what each place of a grid over each picture says for its class."""
    return heat_maps.by_place({"Grad-CAM": heat_maps.grad_cam(backbone, head, pictures.astype("float32"), places)})


def sentence(name: str, trust: Mapping[str, Any]) -> str:
    """How far a map can be relied on."""
    better = [what for (what, method), gain in trust["better"].items() if method == name and gain.low > 0]
    said = f"{name} ({METHODS[name]})"
    if len(better) == 2:
        return f"{said} can be relied on here: what it marks undoes and makes the answer sooner than random places do."
    if better:
        return f"{said} can be relied on in part: by {better[0]} it is better than random places, by the other not."
    return f"Do not rely on {said} here: what it marks moves the answer no sooner than random places do."
