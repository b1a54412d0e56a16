"""From test records to questions, and the truth the answers are judged by."""

from collections.abc import Iterable, Mapping

import numpy as np

from apptemplates.data.schema import DataError
from apptemplates.data.table import Table


def apart(record: Iterable[str], table: Mapping[str, np.ndarray], truth: Iterable[str]) -> tuple[Table, Table]:
    """Records that are questions but for the columns that answer them.

    Args:
        record: Names of the record's columns (its schema); those not in the table are passed over.
        table: Test records.
        truth: Names of the columns that hold the truth.

    Returns:
        (queries, truth): the record's columns without the truth's, and the truth's alone.

    Raises:
        DataError: if a column of the truth is not in the table.
    """
    truth = list(truth)
    for name in truth:
        if name not in table:
            raise DataError(
                f"trials: column {name!r} is missing, so the answers can not be judged; "
                f"there are {', '.join(map(repr, table)) or 'no columns'}."
            )
    queries = {name: table[name] for name in record if name in table and name not in truth}
    return queries, {name: table[name] for name in truth}
