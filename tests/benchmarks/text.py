"""TextGenerator on tiny Shakespeare: prints the table that the README quotes.

    APPTEMPLATES_DATA=... python tests/benchmarks/text.py [network side cache finetune] [--minutes 15]

`network` learns from the first 90 % of the text within the minutes, two cores, and is judged once by the last 10 %,
which nothing was chosen by: the mixed model, its network alone and its counted n-grams alone. `side` lets a plain copy
of nanoGPT's setting for a CPU learn in the same run, and gives our template a quarter of its time. `cache` writes 512
characters with and without what is kept of those before. `finetune` goes on from the saved model with 20 kB of another
author (Jane Austen), and then of text messages, for two minutes, and learns the same from nothing in the same time;
both are judged by what comes after.
"""

import argparse
import math
import os
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

import apptemplates as at
from apptemplates.data import batches
from apptemplates.inference import text_generator as inference
from apptemplates.inference.tokens import Characters

DATA = Path(os.environ["APPTEMPLATES_DATA"]) / "text"


def shakespeare() -> tuple[str, str]:
    """The first 90 % of the text, and the rest."""
    text = (DATA / "tinyshakespeare" / "input.txt").read_text()
    cut = int(0.9 * len(text))
    return text[:cut], text[cut:]


def network(minutes: float, keep: Path | None, choices: dict[str, Any]) -> None:
    """Nats a character on the last tenth."""
    train, test = shakespeare()
    app = at.TextGenerator(**choices)
    began = time.perf_counter()
    app.fit({"text": [train]}, minutes=minutes)
    took = time.perf_counter() - began
    print(f"{app.network_.count_params():,} parameters, fit in {took / 60:.1f} minutes, {app.learned_['training']}")
    print(f"held out of the training text: {app.learned_['held out']}")
    report = app.evaluate({"text": [test]})
    for name, found in report.metrics.items():
        print(f"{name}: {found.value:.4f} ({found.low:.4f} to {found.high:.4f})")
    print(f"network alone: {report.notes['nats a character of the network alone']:.4f}")
    print(f"{report.baseline['name']} alone: {report.baseline['metrics'][app.headline].value:.4f}")
    print(report.table.to_string())
    print(report.calibration, report.latency)
    if keep is not None:
        app.save(keep, licence="tiny Shakespeare, public domain")


def plain_network(tokens: int, width: int = 128, blocks: int = 4, heads: int = 4, context: int = 64) -> keras.Model:
    """nanoGPT's model: learned places, LayerNorm, GELU, one table for tokens and logits."""
    kl = keras.layers
    entry = keras.Input((context,), dtype="int32")
    small = keras.initializers.RandomNormal(stddev=0.02)
    late = keras.initializers.RandomNormal(stddev=0.02 / math.sqrt(2 * blocks))
    table = kl.ReversibleEmbedding(tokens, width, embeddings_initializer=small)
    x = table(entry) + kl.Embedding(context, width, embeddings_initializer=small)(ops.arange(context))
    for _ in range(blocks):
        seen = kl.LayerNormalization()(x)
        x = x + kl.MultiHeadAttention(heads, width // heads, use_bias=False, kernel_initializer=small)(
            seen, seen, use_causal_mask=True
        )
        wide = kl.Dense(4 * width, "gelu", use_bias=False, kernel_initializer=small)(kl.LayerNormalization()(x))
        x = x + kl.Dense(width, use_bias=False, kernel_initializer=late)(wide)
    return keras.Model(entry, table(kl.LayerNormalization()(x), reverse=True))


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """100 steps up to 1e-3, then a cosine down to 1e-4 at the last step."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, "float32")
        part = ops.clip((step - 100) / (self.steps - 100), 0.0, 1.0)
        return ops.where(step < 100, 1e-3 * (step + 1) / 100, 1e-4 + 0.45e-3 * (1 + ops.cos(math.pi * part)))


def side(steps: int = 2000) -> None:
    """nanoGPT's setting for a CPU, and what ours reaches in a quarter of its time."""
    train, test = shakespeare()
    coder = Characters.learned([train])
    stream, after = coder.encode(train), coder.encode(test)
    keras.utils.set_random_seed(0)
    model = plain_network(coder.size)
    rule = keras.optimizers.AdamW(Schedule(steps), beta_2=0.99, weight_decay=0.1, clipnorm=1.0)
    model.compile(rule, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    common: dict[str, Any] = {"length": 64, "before": 0, "batch_size": 12, "seed": 0}
    given = batches.windows(stream, training=True, steps=steps, **common)
    model.fit(given.take(5), verbose=0)  # what is compiled is not timed
    began = time.perf_counter()
    model.fit(given, verbose=0)
    took = time.perf_counter() - began
    theirs = model.evaluate(batches.windows(after, training=False, **{**common, "batch_size": 64}), verbose=0)
    print(f"nanoGPT's setting for a CPU: {theirs:.4f} nats after {took:.0f} s ({steps} steps)")
    began = time.perf_counter()
    app = at.TextGenerator().fit({"text": [train]}, minutes=0.5 * took / 4 / 60, verbose=0)
    ours = time.perf_counter() - began
    report = app.evaluate({"text": [test]})
    alone = report.notes["nats a character of the network alone"]
    print(
        f"TextGenerator, everything included: {report.metrics[app.headline].value:.4f} nats after {ours:.0f} s "
        f"({ours / took:.2f} of the time); its network alone {alone:.4f}"
    )


def cache(folder: Path, length: int = 512) -> None:
    """Characters a second with what is kept and without, and whether both write the same."""
    app = at.load(folder)
    app.generate("ROMEO:", length=10)  # what is compiled is not timed
    began = time.perf_counter()
    kept = app.generate("ROMEO:", length=length, seed=1)
    fast = time.perf_counter() - began
    table, _ = app.query.check("benchmark", {"prompt": ["ROMEO:"], "length": [length], "seed": [1]})
    inputs = app.prepare(table, app.state_)
    read: list[np.ndarray] = []
    reads, shape, share = app._reads(None), app._shape, app._foresight.share

    def anew(asked: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        tokens = asked["tokens"].copy()
        if int(asked["place"][0]) == 0:
            read[:] = [tokens[0]]
        else:
            read.append(tokens[0][-1:])
        window = np.zeros((1, shape.before + shape.context), np.int32)
        joined = np.concatenate(read)
        window[0, : len(joined)] = joined
        logits = reads(window)[:, len(read) - 1]
        chances = np.exp(logits - logits.max())
        part = share[asked["matched"]][:, None]
        found = {f"keep{block}": np.zeros((1, 1, 2 * shape.width), "float32") for block in range(shape.blocks)}
        return found | {"chances": part * chances / chances.sum() + (1 - part) * asked["counted"]}

    inference.respond(inputs | {"length": np.array([10])}, anew, app.state_.counts, app._coder, shape)
    began = time.perf_counter()
    without = inference.respond(inputs, anew, app.state_.counts, app._coder, shape)["text"][0]
    slow = time.perf_counter() - began
    print(
        f"{length} characters, one prompt: {length / fast:.0f} a second with the cache, {length / slow:.0f} without "
        f"({slow / fast:.1f} x); {'the same text' if kept == without else 'ANOTHER TEXT'}"
    )


def others() -> dict[str, str]:
    """What is no Shakespeare: a novel of one author (public domain, in this folder), and many people's messages."""
    lines = (DATA / "sms_spam" / "SMSSpamCollection").read_text("utf-8").splitlines()
    messages = "".join(line.split("\t", 1)[1] + "\n" for line in lines if line.startswith("ham\t"))
    return {"Austen": (Path(__file__).parent / "texts" / "austen.txt").read_text("utf-8"), "messages": messages}


def finetune(folder: Path, minutes: float = 2.0) -> None:
    """20 kB of others: going on from the saved model against learning from nothing, in the same time."""
    before = at.load(folder)
    choices = {name: value for name, value in before.get_params().items() if name not in ("epochs", "learning_rate")}
    shakespeares = shakespeare()[1][:30_000]
    for what, text in others().items():
        train, test = text[:20_000], text[20_000:50_000]
        went_on = at.load(folder).finetune({"text": [train]}, minutes=minutes, epochs=1000, verbose=0)
        fresh = at.TextGenerator(**choices, epochs=1000).fit({"text": [train]}, minutes=minutes, verbose=0)
        for name, app in {"saved": before, "fine-tuned": went_on, "from nothing": fresh}.items():
            found = app.nats(test), app.nats(shakespeares)
            print(f"{name}: {found[0]:.4f} nats on later {what}, {found[1]:.4f} on Shakespeare", flush=True)


def main() -> None:
    """Runs what is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["network", "side", "cache", "finetune"])
    parser.add_argument("--minutes", type=float, default=15.0, help="of the fit of `network`")
    parser.add_argument("--keep", type=Path, help="folder to save that model in")
    saved = Path(__file__).parents[2] / "saved_models" / "text_generator"
    parser.add_argument("--saved", type=Path, default=saved, help="the model that `cache` and `finetune` use")
    given = parser.parse_args()
    for part in given.parts:
        print(f"\n{part}", flush=True)
        {
            "network": lambda: network(given.minutes, given.keep, {}),
            "side": side,
            "cache": lambda: cache(given.saved),
            "finetune": lambda: finetune(given.saved),
        }[part]()


if __name__ == "__main__":
    main()
