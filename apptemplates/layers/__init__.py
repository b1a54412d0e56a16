"""What may stand inside a saved graph; importing this registers every layer, so that Keras opens saved models."""

from apptemplates.layers import (
    classes,
    decision,
    ensemble,
    face_embedding,
    face_networks,
    item_networks,
    pretrained_text,
    ranking,
    sequence,
    similarity,
    sound,
    tabular,
    text,
)

__all__ = [
    "classes",
    "decision",
    "ensemble",
    "face_embedding",
    "face_networks",
    "item_networks",
    "pretrained_text",
    "ranking",
    "sequence",
    "similarity",
    "sound",
    "tabular",
    "text",
]
