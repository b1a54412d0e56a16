"""How a fitted template answers: NumPy only, so that answering never needs Keras."""
