"""Makes saved_models/face_verifier/ from made-up faces.

    python saved_models/recipes/face_verifier.py [folder]

The public collections of faces are of real people and for research only, so nothing learned from them is published.
These faces are drawn by formulas: the folder shows what a saved FaceVerifier is and can be gone on from by `finetune`,
but it does not know real faces; for these fit your own pictures, or take backbone="dlib".
"""

import sys
from pathlib import Path

import apptemplates as at
from apptemplates.data import synthetic_pictures

LICENCE = (
    "made-up faces drawn by formulas (apptemplates.data.synthetic_pictures), no real person among them; weights are "
    "under Apache-2.0. It does not know real faces"
)


def main(folder: Path) -> None:
    """Fits on 200 people who do not exist, is judged on 50 others, and saves."""
    app = at.FaceVerifier(size=32, epochs=12)
    app.fit(synthetic_pictures.faces(200, 8, seed=1))
    app.report_ = app.evaluate(synthetic_pictures.faces(50, 8, seed=2))
    print(app.report_)
    app.save(folder, share=True, licence=LICENCE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "face_verifier")
