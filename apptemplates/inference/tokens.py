"""Text to numbers and back: characters of any script, or pieces of bytes learned from the text itself."""

import codecs
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np

UNKNOWN, BOUNDARY = 0, 1  # a character never seen; where a text begins or ends
FIRST = 2  # number of the first real token
MOST = 32_000  # different tokens
KINDS = ("character", "byte pair")


class Tokens(Protocol):
    """Text to numbers and back; the numbers below `FIRST` stand for no text."""

    size: int

    def encode(self, text: str) -> np.ndarray:
        """The tokens (n,) int32 of a text."""

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of tokens, what stands for no text left out."""

    def writer(self) -> Callable[[int], str]:
        """A function of one token after the other that gives the text each completes."""

    def note(self) -> dict[str, Any]:
        """What `opened` makes the same from, as plain values for JSON."""


class Characters:
    """One token for each character (Unicode code point) that was seen.

    Args:
        letters: Their code points, each once; the first has the number 2.
    """

    def __init__(self, letters: Iterable[int]) -> None:
        self.letters = np.array(list(letters), np.uint32)
        self.size = len(self.letters) + FIRST
        self._order = np.argsort(self.letters)

    @classmethod
    def learned(cls, texts: Iterable[str], known: Iterable[int] = ()) -> "Characters":
        """Those of texts, after others known before, which keep their numbers; of many the 32,000 most frequent."""
        counts: dict[int, int] = {}
        for text in texts:
            points, times = np.unique(code_points(text), return_counts=True)
            for point, count in zip(points.tolist(), times.tolist(), strict=True):
                counts[point] = counts.get(point, 0) + count
        first = list(known)
        others = sorted(set(counts) - set(first), key=lambda point: (-counts[point], point))
        return cls([*first, *sorted(others[: MOST - FIRST - len(first)])])

    def encode(self, text: str) -> np.ndarray:
        points = code_points(text)
        if not len(self.letters):
            return np.zeros(len(points), np.int32)
        found = np.searchsorted(self.letters, points, sorter=self._order)
        place = self._order[np.minimum(found, len(self.letters) - 1)]
        return np.where(self.letters[place] == points, place + FIRST, UNKNOWN).astype(np.int32)

    def decode(self, numbers: Iterable[int]) -> str:
        return "".join(chr(self.letters[number - FIRST]) for number in numbers if number >= FIRST)

    def writer(self) -> Callable[[int], str]:
        return lambda number: self.decode([number])

    def note(self) -> dict[str, Any]:
        return {"kind": "character", "letters": self.letters.tolist()}


class BytePairs:
    """Pieces of UTF-8, joined from the bytes that stood together most often; every text can be written with them.

    Args:
        content: What the `tokenizers` library saves, as JSON text.

    Reference: Sennrich et al., 2016, Neural Machine Translation of Rare Words with Subword Units, arXiv:1508.07909.
    """

    def __init__(self, content: str) -> None:
        self.content = content
        self._coder = library().Tokenizer.from_str(content)
        self.size = self._coder.get_vocab_size() + FIRST
        vocabulary = sorted(self._coder.get_vocab().items(), key=lambda pair: pair[1])
        alphabet = byte_alphabet()
        self._bytes = [bytes(alphabet[letter] for letter in piece) for piece, _ in vocabulary]

    @classmethod
    def learned(cls, texts: Iterable[str], size: int) -> "BytePairs":
        """The pieces of texts, at most so many tokens in all (256 bytes among them)."""
        parts = library()
        coder = parts.Tokenizer(parts.models.BPE())
        coder.pre_tokenizer = parts.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = parts.trainers.BpeTrainer(
            vocab_size=max(256, size - FIRST),
            initial_alphabet=parts.pre_tokenizers.ByteLevel.alphabet(),
            min_frequency=2,
            show_progress=False,
        )
        coder.train_from_iterator((text for text in texts if text), trainer)
        return cls(coder.to_str())

    def encode(self, text: str) -> np.ndarray:
        return np.array(self._coder.encode(text).ids if text else [], np.int32) + FIRST

    def decode(self, numbers: Iterable[int]) -> str:
        # not by the library: half a character at the end must not become three
        content = b"".join(self._bytes[number - FIRST] for number in numbers if number >= FIRST)
        return content.decode("utf-8", "replace")

    def writer(self) -> Callable[[int], str]:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return lambda number: decoder.decode(self._bytes[number - FIRST]) if number >= FIRST else ""

    def note(self) -> dict[str, Any]:
        return {"kind": "byte pair", "content": json.loads(self.content)}


def learned(kind: str, texts: Iterable[str], size: int) -> Tokens:
    """The tokens of texts; `size` counts for byte pairs only."""
    return Characters.learned(texts) if kind == "character" else BytePairs.learned(texts, size)


def opened(note: Mapping[str, Any]) -> Tokens:
    """The tokens that `note` described."""
    return Characters(note["letters"]) if note["kind"] == "character" else BytePairs(json.dumps(note["content"]))


def beginning(coder: Tokens, ends: bool) -> int:
    """The token that stands before a text of which nothing is known, by whether it was learned where texts end."""
    newline = coder.encode("\n")
    # else the beginning of a line is most like that of a text
    return int(BOUNDARY if ends or newline[0] == UNKNOWN else newline[0])


def code_points(text: str) -> np.ndarray:
    """The Unicode code points (n,) uint32 of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def byte_alphabet() -> dict[str, int]:
    """The byte that each letter of the library's pieces stands for: itself where it can be seen, else a later one."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


def library() -> Any:
    """The library that learns byte pairs.

    Raises:
        ImportError: It is not installed; the message says how.
    """
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            "tokens='byte pair' needs the library tokenizers; install it with pip install 'apptemplates[text]', or "
            "use tokens='character'."
        ) from error
    return tokenizers
