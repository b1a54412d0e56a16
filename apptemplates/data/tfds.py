"""Data sets of TensorFlow Datasets that are on this machine, by name."""

import os
import re
from pathlib import Path
from typing import Any

from apptemplates.data.schema import DataError

PATTERN = re.compile(
    r"tfds:(?P<name>\w+)(?:/(?P<config>[^:/]+))?(?::(?P<version>[\d*]+\.[\d*]+\.[\d*]+))?(?::(?P<split>.+))?"
)


def load(source: str, *, encoded: bool = False) -> tuple[Any, dict[str, list[str]]]:
    """The tf.data.Dataset that `tfds.load` gives for "tfds:name/config:split", and the names of its classes by column.

    Looks for the prepared data set in the folder TFDS_DATA_DIR (else ~/tensorflow_datasets), then for its
    archives in downloads/manual there, from which it is prepared. Nothing is fetched from the network: without one,
    `tfds.load` tries for minutes.

    Args:
        source: "tfds:name", "tfds:name/config:split", "tfds:name:1.0.0:train[:10%]".
        encoded: Whether pictures stay the bytes of their files, which take far less room.

    Raises:
        DataError: for another form, a data set that is not there or a split it does not have.
    """
    found = PATTERN.fullmatch(source)
    if not found:
        raise DataError(f"{source}: expected is 'tfds:name', 'tfds:name:split' or 'tfds:name/config:split'.")
    name, config, version, split = found["name"], found["config"], found["version"], found["split"]
    folder = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    full = f"{name}/{config}" if config else name
    manual = folder / "downloads" / "manual"
    prepared = any((folder / full).glob("**/dataset_info.json"))
    if not prepared and not (manual.is_dir() and any(manual.iterdir())):
        raise DataError(
            f"{source}: there is no prepared data set in {folder / full}, and nothing to prepare it from in {manual}; "
            f"run tfds.load({full!r}) once where there is a network, or set TFDS_DATA_DIR to where it is."
        )
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise DataError(f"{source}: TFDS can not be imported ({error}); pip install tensorflow-datasets.") from error

    full = f"{full}:{version}" if version else full
    if not prepared:
        prepare(source, full, folder, manual)
    try:
        builder = tensorflow_datasets.builder(full, data_dir=folder)
    except (tensorflow_datasets.core.DatasetNotFoundError, AssertionError, ValueError) as error:
        raise DataError(f"{source}: TFDS can not open it ({first_line(error)}); check its name and version.") from error
    splits = sorted(builder.info.splits)
    if split is None and len(splits) == 1:
        split = splits[0]
    wanted = re.findall(r"(?:^|\+)\s*([^\[+\s]+)", split or "")
    if not wanted or any(part not in (*splits, "all") for part in wanted):
        which = f"there is no split {split!r}" if split else "no split was named"
        raise DataError(f"{source}: {which}; there are {', '.join(splits)}: write 'tfds:{full}:{splits[0]}'.")
    features = dict(builder.info.features.items()) if hasattr(builder.info.features, "items") else {}
    names = {key: kind.names for key, kind in features.items() if hasattr(kind, "names") and kind.names}
    images = [key for key, kind in features.items() if isinstance(kind, tensorflow_datasets.features.Image)]
    decoders = {key: tensorflow_datasets.decode.SkipDecoding() for key in images} if encoded else None
    return tensorflow_datasets.load(full, split=split, data_dir=folder, download=False, decoders=decoders), names


def prepare(source: str, full: str, folder: Path, manual: Path) -> None:
    """Prepares a data set from archives that lie in the manual folder under the names TFDS registers."""
    import tensorflow_datasets

    try:
        builder = tensorflow_datasets.builder(full, data_dir=folder)
    except (tensorflow_datasets.core.DatasetNotFoundError, ValueError) as error:
        raise DataError(
            f"{source}: TFDS knows no such data set, and none is prepared in {folder}; check its name."
        ) from error
    needed = {info.filename for info in builder.url_infos.values()}
    there = {file.name for file in manual.iterdir()}
    if not needed & there and not builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        raise DataError(
            f"{source}: not prepared in {folder}, and none of its archives "
            f"({', '.join(sorted(needed)[:5]) or 'none known'}) is in {manual}; "
            f"put them there or run tfds.load({full!r}) where there is a network."
        )
    builder.download_and_prepare(download_config=tensorflow_datasets.download.DownloadConfig(manual_dir=manual))


def first_line(error: Exception) -> str:
    """The first line of an error's text, at most 200 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
