"""Makes saved_models/text_generator/ from tiny Shakespeare, whose text is in the public domain.

    APPTEMPLATES_DATA=... python saved_models/recipes/text_generator.py [folder]

Learns from the first 90 % of the text for 15 minutes and is judged by the last tenth, which nothing was chosen by. A
small network, so that the folder stays below 5 MB.
"""

import os
import sys
from pathlib import Path

import apptemplates as at

LICENCE = "tiny Shakespeare (works of William Shakespeare, as collected by Andrej Karpathy), public domain"


def main(folder: Path) -> None:
    """Fits, evaluates and saves."""
    text = (Path(os.environ["APPTEMPLATES_DATA"]) / "text" / "tinyshakespeare" / "input.txt").read_text()
    cut = int(0.9 * len(text))
    app = at.TextGenerator(size="tiny", epochs=40)
    app.fit({"text": [text[:cut]]}, minutes=15)
    app.report_ = app.evaluate({"text": [text[cut:]]})
    print(app.report_)
    app.save(folder, licence=LICENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "text_generator")
