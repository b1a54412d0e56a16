"""What pictures and sounds have in common while they are read."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO


class Undecodable(ValueError):
    """A picture or a sound can not be read; the message is one sentence that says which and why."""


@contextmanager
def opened(path: str, kind: str) -> Iterator[BinaryIO]:
    """A file to read from.

    Args:
        path: Of the file.
        kind: What it should be the file of, for the message: "picture".

    Raises:
        Undecodable: It is not there, is no file, or can not be read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
            raise Undecodable(f"{path}: this is no file but a folder or a device; name the file of a {kind}.")
        with open(path, "rb") as stream:
            yield stream
    except FileNotFoundError:
        link = os.path.islink(path)
        raise Undecodable(
            f"{path}: " + ("this link leads nowhere; mend it." if link else "there is no such file; check the path.")
        ) from None
    except (OSError, ValueError) as error:
        if isinstance(error, Undecodable):
            raise
        reason = getattr(error, "strerror", None) or error
        raise Undecodable(f"{path}: the file can not be read ({reason}); check its permissions and name.") from error


def in_parts(count: int, together: int, fill: Callable[[range], None], workers: int | None = None) -> None:
    """Does the rows 0 .. count - 1 in parts of so many, by several threads.

    Args:
        count: Of rows.
        together: Rows in a part.
        fill: Does the rows of a part.
        workers: Threads; one a core by default.
    """
    if count <= 4:
        fill(range(count))
        return
    from concurrent.futures import ThreadPoolExecutor  # not for one query: it takes a tenth of the time to start

    pool = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        for _ in pool.map(fill, (range(start, min(start + together, count)) for start in range(0, count, together))):
            pass
    finally:  # also when interrupted: what has not begun is not waited for
        pool.shutdown(cancel_futures=True)
