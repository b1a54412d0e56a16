"""The written table of the catalogue: nothing is found by introspection, so a file can not name code."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One application: its class, the file (also test, notebook, recipe and saved folder) and what it answers."""

    name: str
    file: str
    title: str
    answers: str


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "FraudDetector",
        "fraud_detector",
        "Fraud detector",
        "How likely is this payment a fraud, and is it worth a look?",
    ),
    Entry(
        "FaceVerifier",
        "face_verifier",
        "Face verifier",
        "Do these two pictures show the same person, and who of the people enrolled is it?",
    ),
    Entry(
        "MedicalScanClassifier",
        "medical_scan_classifier",
        "Medical scan classifier",
        "What is found on this scan, how likely is it, and should a person look?",
    ),
    Entry(
        "Recommender",
        "recommender",
        "Recommender",
        "What will somebody take next, and because of what?",
    ),
    Entry(
        "RiskScorer",
        "risk_scorer",
        "Risk scorer",
        "How likely is it that this happens, is that too much, and should a person decide?",
    ),
    Entry(
        "TextGenerator",
        "text_generator",
        "Text generator",
        "How does this text go on, in the manner of the texts it learned from?",
    ),
    Entry(
        "VoiceCommandRecognizer",
        "voice_command_recognizer",
        "Voice command recognizer",
        "Which command was said, and was it one at all?",
    ),
)


def find(name: str) -> Entry | None:
    """The entry of a class name (`FraudDetector`) or a file name (`fraud_detector`), or None."""
    return next((entry for entry in ENTRIES if name in (entry.name, entry.file)), None)
