"""What may stand inside a saved graph; importing this registers every layer, so that Keras opens saved models."""

from apptemplates.layers import (
    classes,
    decision,
    ensemble,
    item_networks,
    ranking,
    sequence,
    sound,
    tabular,
    text,
)

__all__ = ["classes", "decision", "ensemble", "item_networks", "ranking", "sequence", "sound", "tabular", "text"]
