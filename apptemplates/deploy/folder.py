"""A folder that is written whole or not at all, and checked before anything in it is parsed."""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = 1
MANIFEST = "manifest.json"
STATE = "state.npz"
NEEDED = ("template.json", "model.keras", "golden.npz")
KNOWN = (*NEEDED, "network.keras", "one.tflite", "report.json", "report.html", "README.md")
LARGEST_TEXT = 64 << 20  # bytes of a json file
STALE = 3600  # seconds after which a half-written folder counts as left behind
# within the package where it was installed from a wheel; in a clone, and where it was installed with -e, beside it
SAVED_MODELS = next(
    (place for up in (1, 2) if (place := Path(__file__).parents[up] / "saved_models").is_dir()), Path("saved_models")
)


class ArchiveError(ValueError):
    """A folder can not be saved or loaded."""


# ---- writing ---------------------------------------------------------------


@contextlib.contextmanager
def written_whole(owner: str, folder: str | os.PathLike[str], made_by: str) -> Iterator[Path]:
    """A new folder to write into, which takes the place of `folder` when the block ends well.

    It stands beside its place until then, so whatever goes wrong, the folder that was there before is still there. A
    process killed between the two renames leaves the old one under another name, where `find` looks.

    Args:
        owner: who saves, for the message.
        folder: is made, or replaced if it is a saved template or empty.
        made_by: program and version, for the manifest.

    Raises:
        ArchiveError: the place holds something else, can not be written, or the disk is full.
    """
    target = Path(folder).resolve()  # behind a link, the folder is replaced and the link stays
    check_place(owner, target)
    made = target.parent / f".{target.name}.{secrets.token_hex(4)}.saving"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        find(target)
        _remove_stale(target)
        made.mkdir()
        yield made
        files = {
            path.name: {"size": path.stat().st_size, "sha256": _digest(path)}
            for path in sorted(made.iterdir())
            if path.name != STATE
        }
        write_json(made / MANIFEST, {"format": FORMAT, "made_by": made_by, "files": files})
        _flush(made)
        _replace(target, made)
    except OSError as error:
        raise ArchiveError(
            f"{owner}: the folder {str(folder)!r} could not be saved ({error.strerror or error}); "
            "what was there before is unchanged; make room or choose another place."
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def new_folder(owner: str, folder: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to write into, which stands at a new place when the block ends well; else nothing is left.

    Args:
        owner: who writes, for the message.
        folder: must not be there, or be an empty folder.

    Raises:
        ArchiveError: the place is taken, or can not be written.
    """
    place = Path(folder).absolute()
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ArchiveError(f"{owner}: {str(folder)!r} is there already and holds something; give a new place.")
    made = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        made.mkdir(parents=True)
        yield made
        if place.exists():
            place.rmdir()
        made.rename(place)
    except OSError as error:
        raise ArchiveError(f"{owner}: {str(folder)!r} can not be written ({error.strerror or error}).") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def check_place(owner: str, target: Path) -> None:
    """Refuses a place that holds something else than a saved template.

    Raises:
        ArchiveError: says what is there.
    """
    if target.exists() and not target.is_dir():
        raise ArchiveError(f"{owner}: {str(target)!r} is not a folder; give a folder that is new or a saved template.")
    try:
        present = {path.name for path in target.iterdir()} if target.exists() else set()
    except OSError as error:
        raise ArchiveError(
            f"{owner}: {str(target)!r} can not be read ({error.strerror}); choose another place."
        ) from error
    strange = sorted(present - {MANIFEST, STATE, *KNOWN})
    if present and (MANIFEST not in present or strange):
        what = f"{strange[0]!r}" if strange else "no manifest.json"
        raise ArchiveError(
            f"{owner}: {str(target)!r} is not a saved template, it holds {what}; "
            "nothing in it was touched; give a new folder."
        )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes plain values and NumPy numbers as JSON."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.generic | np.ndarray):
            return value.tolist()
        raise TypeError(f"archive: {path.name} can not hold {value!r}; give numbers, strings, lists and dicts.")

    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, default=plain), encoding="utf-8")


def _replace(target: Path, made: Path) -> None:
    previous = _previous(target)
    if target.exists():
        target.rename(previous)  # from here to the next line `load` finds it under this name
    try:
        made.rename(target)
    except OSError:
        find(target)
        raise
    flush_folder(target.parent)
    shutil.rmtree(previous, ignore_errors=True)


def _previous(target: Path) -> Path:
    return target.parent / f".{target.name}.previous"


def place_of(folder: str | os.PathLike[str]) -> Path:
    """Where a saved folder is: as it is called, or by its name among the project's own `saved_models`."""
    place = Path(folder).absolute()
    if not place.exists():
        find(place)
    if not place.exists() and Path(folder).name == str(folder) and (SAVED_MODELS / folder).is_dir():
        return SAVED_MODELS / folder
    return place


def find(target: Path) -> None:
    """Puts a folder in its place that a save killed between its two renames left beside it."""
    previous = _previous(target)
    if previous.is_dir() and not target.exists():
        previous.rename(target)
    elif previous.is_dir():
        shutil.rmtree(previous, ignore_errors=True)


def _remove_stale(target: Path) -> None:
    for path in target.parent.glob(f".{_escaped(target.name)}.*.saving"):
        if path.stat().st_mtime < time.time() - STALE:
            shutil.rmtree(path, ignore_errors=True)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _flush(folder: Path) -> None:
    for path in folder.iterdir():
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
    flush_folder(folder)


def flush_folder(folder: Path) -> None:
    """Which files a folder has is on the disk when this returns."""
    with contextlib.suppress(PermissionError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# ---- checking --------------------------------------------------------------


def check(place: Path) -> None:
    """Refuses a folder that is missing, foreign, incomplete, changed, has extra files or is of a newer format.

    Raises:
        ArchiveError: half a sentence that says what is wrong and what to do; the caller names the folder.
    """
    if not place.exists():
        raise ArchiveError("there is no such folder; give the folder that `save` wrote")
    if not place.is_dir():
        raise ArchiveError("it is a file; give the folder that `save` wrote")
    if not (place / MANIFEST).is_file():
        raise ArchiveError("it is not a saved template, it has no manifest.json; give the folder that `save` wrote")
    manifest = read_json(place / MANIFEST)
    number, files = manifest.get("format"), manifest.get("files")
    if not (isinstance(number, int) and isinstance(files, dict) and "made_by" in manifest and _are_files(files)):
        raise ArchiveError("it is not a saved template, its manifest.json is of another program")
    if number > FORMAT:
        raise ArchiveError(
            f"it was made by a newer apptemplates (format {number}, this one reads up to {FORMAT}); update apptemplates"
        )
    for name in (*NEEDED, STATE, *files):
        if name not in files and name != STATE:
            raise ArchiveError(f"its manifest.json does not list {name!r}; copy the folder again from where it came")
        if name not in (*KNOWN, STATE):
            raise ArchiveError(f"its manifest.json lists {name!r}, which is no part of a saved template")
        if (place / name).is_symlink() or not (place / name).is_file():
            raise ArchiveError(f"{name!r} is missing; copy the folder again from where it came")
    for path in sorted(place.iterdir()):
        if path.name not in files and path.name not in (MANIFEST, STATE):
            raise ArchiveError(f"{path.name!r} is no part of the saved template; take it out of the folder")
    for name, facts in files.items():
        size = (place / name).stat().st_size
        if size != facts["size"]:
            raise ArchiveError(
                f"{name!r} is damaged, it has {size:,} bytes instead of {facts['size']:,}; "
                "copy the folder again from where it came"
            )
        if _digest(place / name) != facts["sha256"]:
            raise ArchiveError(f"{name!r} was changed after it was saved; copy the folder again from where it came")


def _are_files(files: dict[str, Any]) -> bool:
    return all(
        isinstance(facts, dict) and isinstance(facts.get("size"), int) and isinstance(facts.get("sha256"), str)
        for facts in files.values()
    )


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ArchiveError: it is too large or damaged; half a sentence.
    """
    if path.stat().st_size > LARGEST_TEXT:
        raise ArchiveError(f"{path.name!r} has {path.stat().st_size:,} bytes, far too many")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ArchiveError(f"{path.name!r} is damaged ({error}); copy the folder again from where it came") from error
    if not isinstance(content, dict):
        raise ArchiveError(f"{path.name!r} is damaged; copy the folder again from where it came")
    return content


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
