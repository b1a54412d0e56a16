"""The SavedModel that forms are made of: it has what layers bring along, and does not trace what was traced before."""

import keras
import numpy as np
import tensorflow as tf

from apptemplates.deploy import fast, saved_graph


def test_words_of_a_model_within_a_model_travel_and_old_traces_do_not_run(tmp_path):
    word = keras.Input((), dtype="string", name="word")
    inner = keras.Model(word, keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(word))
    model = keras.Model({"word": word}, {"kind": keras.layers.Dense(2)(inner(word))})
    traced = []

    @tf.function(input_signature=[tf.TensorSpec(())])
    def old(number):
        traced.append(number)
        return number

    model.old, model.inner_old = old, inner
    saved_graph.write(
        tmp_path, model, lambda given: model(given, training=False), fast.input_signature(model, rows=None)
    )
    assert traced == []
    answer = tf.saved_model.load(str(tmp_path)).signatures["serving_default"](word=tf.constant(["b", "c"]))
    np.testing.assert_allclose(answer["kind"], model({"word": tf.constant(["b", "c"])})["kind"], atol=1e-6)
