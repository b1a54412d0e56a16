"""Makes saved_models/voice_command_recognizer/ from Google's Speech Commands.

    APPTEMPLATES_DATA=... python saved_models/recipes/voice_command_recognizer.py [folder]

Learns from the 2,841 training clips of twelve classes, is calibrated on the validation clips, with two recordings of
background, and is judged on the test clips; speakers are never on two sides. Smaller than the default, one narrow
network, so that the folder stays small. No clip is in it.
"""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import apptemplates as at

LICENCE = (
    "Speech Commands v0.02 (Warden, 2018, Google), CC BY 4.0: clips and background recordings; only weights learned "
    "from them are here, and no recording"
)
BACKGROUND = ("doing_the_dishes", "pink_noise")
WIDTH, LISTENERS = 12, 1


def clips(data: Path, split: str) -> dict[str, np.ndarray]:
    """Paths, words and speakers of one part of the official split."""
    folder = data / "speech_commands"
    index = pd.read_csv(folder / "index.csv", keep_default_na=False)
    part = index[index.split == split]
    return {
        "sound": np.array([str(folder / path) for path in part.path], object),
        "command": part.label.to_numpy(object),
        "speaker": part.speaker.to_numpy(object),
    }


def main(folder: Path) -> None:
    """Fits, evaluates and saves."""
    data = Path(os.environ["APPTEMPLATES_DATA"])
    background = [str(data / "background_noise" / f"{name}.wav") for name in BACKGROUND]
    app = at.VoiceCommandRecognizer(background=background, width=WIDTH, listeners=LISTENERS)
    app.fit(clips(data, "train"), validation=clips(data, "validation"))
    app.report_ = app.evaluate(clips(data, "test"))
    print(app.report_)
    app.background = None  # what comes after learning is not to look for files of another machine
    app.save(folder, share=True, licence=LICENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "voice_command_recognizer")
