"""How a fitted FaceVerifier answers: pictures of one size in, similarities and names out; NumPy and Pillow only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from apptemplates.data.schema import DataError
from apptemplates.data.table import PROBLEM
from apptemplates.inference import images
from apptemplates.policy import nearest

if TYPE_CHECKING:
    from apptemplates.inference.face_finder import FaceFinder

PAIR = ("first", "second")
UNKNOWN = "unknown"
TOGETHER = 256  # pairs the network sees at once, so that memory stays bounded
PHOTOGRAPH = 640  # side at which an ordinary photograph is searched for a face

Load = Callable[[Any], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Gallery:
    """The people that were enrolled: a name and the sum of the directions of their pictures, no picture.

    Args:
        names: (m,) str, sorted as enrolled.
        totals: (m, d) float32.
        finder: What cuts faces out of photographs, or None.
    """

    names: tuple[str, ...] = ()
    totals: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    finder: FaceFinder | None = None

    def __len__(self) -> int:
        return len(self.names)

    def enrolled(self, name: str, vectors: np.ndarray) -> Gallery:
        """With these directions (k, d) under a name, added to those it has."""
        total = vectors.sum(axis=0, dtype="float64").astype("float32")[None]
        if name in self.names:
            totals = self.totals.copy()
            totals[self.names.index(name)] += total[0]
            return Gallery(self.names, totals, self.finder)
        totals = np.concatenate([self.totals, total]) if len(self) else total
        return Gallery((*self.names, name), totals, self.finder)

    def forgotten(self, name: str) -> Gallery:
        """Without a name and its directions."""
        kept = np.array([other != name for other in self.names], bool)
        return Gallery(tuple(other for other in self.names if other != name), self.totals[kept], self.finder)

    def emptied(self) -> Gallery:
        """Without anybody."""
        return Gallery(finder=self.finder)

    def nearest(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k people most alike to each direction (n, d), the most alike first: rows and similarities (n, k)."""
        k = min(k, len(self))
        alike = vectors.astype("float32") @ self.directions.T  # (n, m)
        rows = np.argpartition(-alike, k - 1, axis=1)[:, :k] if k < len(self) else np.argsort(-alike, axis=1)
        found = np.take_along_axis(alike, rows, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(found, order, axis=1)

    @property
    def directions(self) -> np.ndarray:
        """(m, d) float32 of length 1."""
        kept = self.__dict__.get("_directions")
        if kept is None:  # made once: of 100,000 people this takes longer than the search
            length = np.sqrt(np.einsum("md,md->m", self.totals, self.totals))[:, None]
            kept = self.totals / np.maximum(length, 1e-6)
            object.__setattr__(self, "_directions", kept)
        return kept  # type: ignore[no-any-return]

    def arrays(self) -> dict[str, np.ndarray]:
        """What a folder keeps of it."""
        people = {"names": np.array(self.names, object), "totals": self.totals} if len(self) else {}
        return people if self.finder is None else people | self.finder.arrays()

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], finder: FaceFinder | None = None) -> Gallery:
        """From the arrays of a folder."""
        if "names" not in arrays:
            return cls(finder=finder)
        return cls(tuple(str(name) for name in arrays["names"]), arrays["totals"], finder)


def loader(size: tuple[int, int], channels: int, finder: FaceFinder | None) -> Load:
    """A function from pictures (n,) to uint8 (good, h, w, c) and why each of the others can not be read (n,)."""
    if finder is None:
        return lambda values: images.load(values, size, channels)
    found: FaceFinder = finder

    def load(values: Any) -> tuple[np.ndarray, np.ndarray]:
        faces, problems = [], np.full(len(values), "", dtype=object)
        for row, value in enumerate(values):
            try:
                photograph = images.decode(value, (PHOTOGRAPH, PHOTOGRAPH), 3)
                faces.append(images.decode(found.crop(photograph, size[0]), size, channels))
            except images.Undecodable as reason:
                problems[row] = str(reason)
        return np.array(faces, np.uint8).reshape(len(faces), *size, channels), problems

    return load


def prepare(queries: Mapping[str, np.ndarray], columns: Sequence[str], load: Load) -> dict[str, np.ndarray]:
    """Pictures (good, h, w, c) of each column, and for each of the n queries "" or why it can not be answered."""
    loaded = {name: read(queries[name], load) for name in columns}
    problems = np.full(len(queries[columns[0]]), "", dtype=object)
    for name, (_, wrong) in loaded.items():
        said = np.array([f"{name!r}: {reason}" if reason else "" for reason in wrong], object)
        problems = np.where((problems == "") | (said == ""), problems + said, problems + " " + said)
    good = problems == ""
    inputs = {}
    for name, (pictures, wrong) in loaded.items():
        inputs[name] = pictures if good.all() else pictures[good[wrong == ""]]
    return inputs | {PROBLEM: problems}


def column_of(images: Any) -> np.ndarray:
    """Pictures (n,) of a list, a column, an array (n, h, w[, c]), or of one picture."""
    if isinstance(images, np.ndarray) and (
        images.ndim == 4 or (images.ndim == 3 and images.shape[-1] not in (1, 3, 4))
    ):
        return images
    if (
        isinstance(images, str | bytes)
        or hasattr(images, "__fspath__")
        or hasattr(images, "getexif")
        or (isinstance(images, np.ndarray) and images.dtype.kind in "biuf")
    ):
        images = [images]
    images = list(images)
    column = np.empty(len(images), object)
    for place, image in enumerate(images):
        column[place] = image
    return column


def read(values: np.ndarray, load: Load) -> tuple[np.ndarray, np.ndarray]:
    """What `load` gives, each picture that stands in several rows read once."""
    if values.dtype != object:
        return load(values)
    place: dict[Any, int] = {}
    row = np.array([place.setdefault(v if isinstance(v, str) else id(v), len(place)) for v in values], int)
    if len(place) == len(values):
        return load(values)
    first = np.unique(row, return_index=True)[1]
    pictures, wrong = load(values[first])
    where = np.cumsum(wrong == "") - 1  # of each picture among those that could be read
    return pictures[where[row[wrong[row] == ""]]], wrong[row]


def respond(inputs: Mapping[str, np.ndarray], call: Any) -> dict[str, np.ndarray]:
    """Answer columns from what the graph says of pairs."""
    n = len(next(iter(inputs.values())))
    starts = range(0, max(n, 1), TOGETHER)
    parts = [call({name: column[start : start + TOGETHER] for name, column in inputs.items()}) for start in starts]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return answers(whole["similarity"], whole["match"])


def answers(similarity: np.ndarray, match: np.ndarray) -> dict[str, np.ndarray]:
    """Answer columns from similarities (n,) and whether each is a match."""
    return {"similarity": similarity.astype("float64"), "match": match.astype(bool)}


def named(gallery: Gallery, vectors: np.ndarray, k: int, threshold: float) -> dict[str, np.ndarray]:
    """Who the directions (n, d) belong to: names (n, k) and similarities (n, k), "unknown" below the threshold.

    Where there are fewer than k people, the rest is "unknown" with similarity NaN.
    """
    n, people = len(vectors), min(k, len(gallery))
    names, similarity = np.full((n, k), UNKNOWN, dtype=object), np.full((n, k), np.nan)
    if people and n:
        rows, alike = gallery.nearest(vectors, people)
        similarity[:, :people] = alike
        known = np.array(gallery.names, object)[rows]
        names[:, :people] = np.where(alike >= threshold, known, UNKNOWN)
    return {"name": names, "similarity": similarity}


def identified(
    gallery: Gallery, vectors: np.ndarray, problems: np.ndarray, k: int, threshold: float
) -> dict[str, np.ndarray]:
    """Who of the gallery each picture shows: k rows a picture.

    Args:
        gallery: Of enrolled people.
        vectors: Directions (good, d) of the pictures that could be used.
        problems: (n,) "" or why a picture could not be used.
        k: How many of the most alike people are named.
        threshold: Similarity from which a name is told.

    Returns:
        Columns (n k,): picture, rank, name, similarity, problem.
    """
    found = {"name": np.full((len(problems), k), UNKNOWN, object), "similarity": np.full((len(problems), k), np.nan)}
    if len(vectors):
        for column, values in named(gallery, vectors, k, threshold).items():
            found[column][problems == ""] = values
    place, rank = np.indices((len(problems), k))
    table = {"picture": place, "rank": rank + 1, **found, "problem": np.repeat(problems[:, None], k, axis=1)}
    return {column: values.ravel() for column, values in table.items()}


def check_name(owner: str, name: Any) -> None:
    """Raises DataError for what is no name to enrol somebody by."""
    if not isinstance(name, str) or not name.strip() or name == UNKNOWN:
        raise DataError(
            f"{owner}: the name of a person must be a text that is not empty and not {UNKNOWN!r}, which stands for "
            f"nobody. Received: {name!r}."
        )


def check_asked(owner: str, gallery: Gallery, k: int) -> None:
    """Raises DataError where nobody can be recognised."""
    if not len(gallery):
        raise DataError(f"{owner}: the gallery is empty, so nobody can be recognised; call enrol(name, images).")
    if k < 1:
        raise DataError(f"{owner}: k must be at least 1. Received: {k}.")


def without(owner: str, gallery: Gallery, name: str) -> Gallery:
    """The gallery without a person; raises DataError where nobody of that name is enrolled."""
    if name not in gallery.names:
        raise DataError(
            f"{owner}: nobody called {name!r} is enrolled{nearest(str(name), gallery.names)}; "
            f"the gallery holds {len(gallery):,} people."
        )
    return gallery.forgotten(name)


class Answering:
    """Answers as the saved template does, without it."""

    def __init__(self, name: str, saved: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> None:
        self.name, self.threshold = name, float(saved["learned"]["decision"]["threshold"])
        finder = None
        if saved["parameters"]["find"]:
            from apptemplates.inference.face_finder import FaceFinder

            finder = FaceFinder(state["detector"].tobytes(), state["landmarks"].tobytes())
        height, width, channels = saved["learned"]["shape"]
        self.load = loader((height, width), channels, finder)
        self.gallery = Gallery.of(state, finder)

    def embed(self, images: Any, call: Any) -> tuple[np.ndarray, np.ndarray]:
        """Directions (good, d) of pictures, and "" or why each of the n can not be used.

        Raises:
            DataError: There are none, or the folder is of a version whose graph tells no directions.
        """
        column = column_of(images)
        if not len(column):
            raise DataError(f"{self.name}: there are no pictures; give at least one.")
        pictures, problems = read(column, self.load)
        told = [call({side: picture[None] for side in PAIR}) for picture in pictures]
        if told and "direction" not in told[0]:
            raise DataError(f"{self.name}: its graph is of an earlier version and tells no directions; fit it anew.")
        return np.concatenate([one["direction"] for one in told]) if told else np.empty((0, 0)), problems

    def enrol(self, name: str, images: Any, call: Any) -> None:
        """Adds pictures of a person to the gallery."""
        check_name(self.name, name)
        vectors, problems = self.embed(images, call)
        if (problems != "").any():
            place = int(np.argmax(problems != ""))
            raise DataError(f"{self.name}: picture {place + 1} of {len(problems)}: {problems[place]}")
        self.gallery = self.gallery.enrolled(name, vectors)

    def forget(self, name: str) -> None:
        """Takes a person out of the gallery."""
        self.gallery = without(self.name, self.gallery, name)

    def identify(self, images: Any, k: int, call: Any) -> dict[str, np.ndarray]:
        """Who of the gallery each picture shows, as `identified` tells it."""
        check_asked(self.name, self.gallery, k)
        return identified(self.gallery, *self.embed(images, call), k, self.threshold)

    def prepare(self, queries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The graph's inputs, and why a picture can not be used."""
        return prepare(queries, PAIR, self.load)

    def respond(self, inputs: Mapping[str, np.ndarray], call: Any) -> dict[str, np.ndarray]:
        """The answers."""
        return respond(inputs, call)
