"""The network over a table's features."""

import keras
import numpy as np

from apptemplates.layers import table_networks, tabular


def test_it_learns_a_step_of_a_number():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(2000,)).astype("float32")
    truth = (np.abs(x) < 0.5).astype("float32")
    preprocessor = tabular.build_preprocessor({"x": x}, bins=20)
    network = table_networks.ensemble(preprocessor, 20, 4, (0.1, 0.1))
    assert network.name == "network" and network.output_shape == (None, 4)
    network.compile(**table_networks.objective(1e-2, keras.losses.BinaryCrossentropy(from_logits=True)))
    features = preprocessor({"x": x}).numpy()
    network.fit(features, np.repeat(truth[:, None], 4, axis=1), batch_size=64, epochs=3, verbose=0)
    assert ((network(features).numpy().mean(axis=1) > 0) == (truth > 0)).mean() > 0.95
