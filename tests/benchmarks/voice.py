"""VoiceCommandRecognizer on Google's Speech Commands and on spoken digits, mean of so many seeds.

    APPTEMPLATES_DATA=... python tests/benchmarks/voice.py --seeds 3

`commands`: 12 classes, official split by speaker; two of the four background recordings for learning, the other two are
only heard in `streams`: three hours and more of synthetic mixes of two recordings with held-out words that are no
commands. `live`: how much faster than real time `listen` is on one core. `few`: five spoken digits, which it never
learned as commands, from five clips each. `digits`: the official split of the digits. `speakers`: each of their six
speakers left out in turn. Choices were made on validation clips only.
"""

import argparse
import copy
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

import apptemplates as at
from apptemplates.data import made_sounds
from apptemplates.deploy import fast
from apptemplates.evaluation import streams
from apptemplates.inference import sounds

sys.path.insert(0, str(Path(__file__).parents[2] / "saved_models" / "recipes"))
from voice_command_recognizer import clips

DATA = Path(os.environ["APPTEMPLATES_DATA"])
LEARNED, HELD_OUT = ("doing_the_dishes", "pink_noise"), ("exercise_bike", "running_tap")
HOURS = 3.0
RATE = 16_000


def recordings(names: tuple[str, ...]) -> list[str]:
    """Paths of background recordings."""
    return [str(DATA / "background_noise" / f"{name}.wav") for name in names]


def commands(split: str) -> dict[str, np.ndarray]:
    """One part of the official split."""
    return clips(DATA, split)


def digits() -> pd.DataFrame:
    """Path, digit, speaker and number of every recording."""
    rows = []
    for path in sorted((DATA / "spoken_digits" / "recordings").glob("*.wav")):
        digit, speaker, number = path.stem.split("_")
        rows.append((str(path), NAMES[int(digit)], speaker, int(number)))
    return pd.DataFrame(rows, columns=["sound", "command", "speaker", "number"])


NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def accuracy(app: at.VoiceCommandRecognizer, clips: dict | pd.DataFrame) -> float:
    """Share of clips whose command is right."""
    return float((app.predict(clips)["command"].to_numpy() == np.asarray(clips["command"])).mean())


def learn_commands(seed: int) -> at.VoiceCommandRecognizer:
    """A recognizer of the commands."""
    app = at.VoiceCommandRecognizer(background=recordings(LEARNED), policy=at.Policy(false_accepts=ALLOWED), seed=seed)
    return app.fit(commands("train"), validation=commands("validation"), verbose=0)


def in_clips(app: at.VoiceCommandRecognizer, seed: int) -> None:
    """How good it is in clips."""
    print(
        f"commands, seed {seed}: accuracy {accuracy(app, commands('test')):.4f} (validation "
        f"{accuracy(app, commands('validation')):.4f}), fit {app.learned_['training']['minutes']:.1f} min, "
        f"{app.network_.count_params():,} parameters",
        flush=True,
    )


ALLOWED = 0.05  # false accepts an hour


def in_streams(app: at.VoiceCommandRecognizer, seed: int) -> None:
    """False accepts in hours of what is no command, and the recall of the same listening."""
    test = commands("test")
    quiet = np.isin(test["command"], app.quiet)
    clips = app.prepare({"sound": test["sound"]}, app.state_)["sound"]
    noise = np.concatenate([sounds.decode(path, RATE) for path in recordings(HELD_OUT)])
    rng = np.random.default_rng(seed)
    call, least = fast.batch(app.model_), app._least

    def heard(samples: np.ndarray) -> list:
        return streams.heard_in(call, samples, app.commands, app.quiet, app._pace(), least)

    false, part = 0, 600.0
    other = clips[test["command"] == app.unknown]
    for _ in range(round(HOURS * 3600 / part)):
        false += len(heard(made_sounds.stream(part, RATE, other, noise, rng)))
    most = streams.false_accepts(np.ones(false), 0.5, HOURS)["false accepts an hour, at most (95 %, Poisson)"]
    # every command once, two seconds apart, in soft background
    right = 0
    for clip, word in zip(clips[~quiet], test["command"][~quiet], strict=True):
        start = rng.integers(0, len(noise) - 3 * RATE)
        stream = 0.1 * noise[start : start + 3 * RATE]
        stream[RATE : 2 * RATE] += clip
        found = heard(stream.astype("float32"))
        right += any(one.command == word for one in found)
    accepted = app.predict(test)
    known = (accepted["accepted"].to_numpy() > 0) & (accepted["command"].to_numpy() == test["command"])
    print(
        f"streams, seed {seed}: {false} false accepts in {HOURS:g} h of synthetic mixes of two recordings "
        f"(at most {most} an hour, 95 %, Poisson); word recall in a stream {right / (~quiet).sum():.4f}, in clips "
        f"{known[~quiet].mean():.4f}; threshold {least:.3f}",
        flush=True,
    )


def live(app: at.VoiceCommandRecognizer, seed: int) -> None:
    """How fast a stream is listened to."""
    noise = sounds.decode(recordings(HELD_OUT)[0], RATE)
    stream = np.resize(noise, 300 * RATE)
    began = time.process_time()  # of one core, which other programs may share
    list(app.listen(np.split(stream, 3000), RATE))
    print(f"live, seed {seed}: {300 / (time.process_time() - began):.0f} x real time", flush=True)


def few(app: at.VoiceCommandRecognizer, seed: int) -> None:
    """Five new words from five clips each."""
    table, rng = digits(), np.random.default_rng(seed)
    chosen = list(rng.choice(NAMES, 5, replace=False))
    of = table[table.command.isin(chosen)]
    learn = of[of.number >= 5].groupby("command").sample(5, random_state=seed)
    test, before = commands("test"), accuracy(app, commands("test"))
    began = time.perf_counter()
    grown = copy.copy(app).finetune(learn, validation=commands("validation"), verbose=0)
    took = time.perf_counter() - began
    new = accuracy(grown, of[of.number < 5])
    after = accuracy(grown, test)
    print(
        f"few, seed {seed}: {', '.join(chosen)}: accuracy {new:.4f}, old words {before:.4f} -> {after:.4f}, "
        f"{took:.0f} s",
        flush=True,
    )


def digit_recognizer(seed: int, speaker: str | None) -> at.VoiceCommandRecognizer:
    """For recordings of 8 kHz; one listener and few passes are enough for ten words."""
    return at.VoiceCommandRecognizer(
        speaker=speaker, rate=8000, background=recordings(LEARNED), listeners=1, epochs=5, seed=seed
    )


def learn_digits(seed: int) -> None:
    """The official split."""
    table = digits()
    app = digit_recognizer(seed, None).fit(table[table.number >= 5], verbose=0)
    print(
        f"digits, seed {seed}: accuracy {accuracy(app, table[table.number < 5]):.4f} (held out while learning "
        f"{app.report_.metrics['accuracy'].value:.4f}), fit {app.learned_['training']['minutes']:.1f} min",
        flush=True,
    )


def leave_one_out(seed: int) -> None:
    """Each speaker left out in turn."""
    table, found = digits(), []
    for speaker in sorted(table.speaker.unique()):
        app = digit_recognizer(seed, "speaker").fit(table[table.speaker != speaker], verbose=0)
        found.append(accuracy(app, table[table.speaker == speaker]))
        print(f"speakers, seed {seed}: {speaker} {found[-1]:.4f}", flush=True)
    print(f"speakers, seed {seed}: mean accuracy {np.mean(found):.4f}", flush=True)


def main() -> None:
    """Measures and prints each row as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", choices=["commands", "live", "digits", "speakers"])
    parser.add_argument("--keep", help="folder to save the models of the commands in, or to open them from")
    chosen = parser.parse_args()
    for seed in chosen.seeds:
        if chosen.only in (None, "commands", "live"):
            place = Path(chosen.keep) / f"voice{seed}" if chosen.keep else None
            app = at.load(place) if place and place.exists() else learn_commands(seed)
            if place and not place.exists():
                app.save(place)
            live(app, seed)
        if chosen.only in (None, "commands"):
            in_clips(app, seed)
            in_streams(app, seed)
            few(app, seed)
        if chosen.only in (None, "digits"):
            learn_digits(seed)
    if chosen.only in (None, "speakers"):
        leave_one_out(chosen.seeds[0])


if __name__ == "__main__":
    main()
