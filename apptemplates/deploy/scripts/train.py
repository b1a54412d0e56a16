"""Goes on learning from records of your own, or begins anew with --fresh; writes the weights to a file.

    python train.py records [--epochs 5] [--rate 0.0005] [--fresh] [--save trained.npz]

What was measured on held-out records when this model was made stays as it was: scales of columns, calibration,
thresholds. Measure again before you trust them with other weights.
"""

import argparse
import sys

import data
import keras
import model
import task

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", help="a file, or a folder of files, with their labels")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=5e-4, help="largest step size")
    parser.add_argument("--fresh", action="store_true", help="begin with new weights")
    parser.add_argument("--save", default="trained.npz", help="where the weights go (default: %(default)s)")
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    whole = model.load(fresh=given.fresh)
    try:
        network, features, target, loss = task.lesson(whole, data.records(given.records))
    except data.DataError as error:
        sys.exit(str(error))
    held_out = max(1, len(features) // 10)
    order = keras.random.shuffle(keras.ops.arange(len(features)), seed=0).numpy()
    train, valid = order[held_out:], order[:held_out]
    rate = keras.optimizers.schedules.CosineDecay(given.rate, max(1, given.epochs * len(train) // task.BATCH))
    network.compile(keras.optimizers.AdamW(rate, weight_decay=1e-3), loss)
    network.optimizer.build(network.trainable_variables)  # a first step that makes them itself takes longer
    network.fit(
        features[train],
        target[train],
        batch_size=task.BATCH,
        epochs=given.epochs,
        validation_data=(features[valid], target[valid]),
        verbose=2,
    )
    model.save(whole, given.save)
    print(f"wrote {given.save}; ask it by: python predict.py QUERIES --weights {given.save}")
