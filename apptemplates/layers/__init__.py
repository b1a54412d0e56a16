"""What may stand inside a saved graph; importing this registers every layer, so that Keras opens saved models."""

from apptemplates.layers import decision, ensemble, ranking, sequence, tabular

__all__ = ["decision", "ensemble", "ranking", "sequence", "tabular"]
