"""Tables of numbers, one example a row: CSV, TSV and Parquet files, by pandas."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moe_vae.data.checks import DataError
from moe_vae.data.limits import check_features, check_unpacked, existing
from moe_vae.data.notices import notice
from moe_vae.data.parts import Examples

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["TABLE_SUFFIXES", "read_table"]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
PARQUET = (".parquet", ".pq")
TABLE_SUFFIXES = (*SEPARATORS, *PARQUET)
ROWS_AT_ONCE = 10_000
LABEL, TARGET = "label", "target"


def read_table(path: Path) -> Examples:
    """Reads a table of numbers.

    The column `label`, if any, holds the classes, whole numbers or words. Columns whose names begin
    with `target` hold the values of a regression. All other columns are features. A CSV file whose
    first line holds numbers alone has no names of columns; it holds features only.

    Raises:
      DataError: pandas is not installed, or the file is damaged, no table, ragged, not UTF-8, or
        has a cell that is empty or no number.
    """
    existing(path, folders=False)  # a pipe would wait for ever
    try:
        import pandas as pd
    except ImportError as error:
        raise DataError(
            f"{path}: tables need the package pandas, which is not installed: "
            "pip install 'moe_vae[tables]'"
        ) from error
    from pandas.errors import EmptyDataError, ParserError, ParserWarning

    try:
        frames = _parquet(path) if path.suffix.lower() in PARQUET else _csv(pd, path)
        blocks = list(_blocks(frames, path))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error.reason})") from error
    except (csv.Error, EmptyDataError, ParserError, ParserWarning, OSError) as error:
        raise DataError(f"{path}: is no table ({' '.join(str(error).split())})") from error
    if not blocks:
        raise DataError(f"{path}: has no rows: it must have one for each example")
    values, labels, targets = zip(*blocks, strict=True)
    return Examples(
        np.concatenate(values),
        None if labels[0] is None else np.concatenate(labels),
        None if targets[0] is None else np.concatenate(targets),
    )


def _csv(pd: Any, path: Path) -> Iterator["DataFrame"]:
    import warnings

    separator = SEPARATORS[path.suffix.lower()]
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file, delimiter=separator), [])
    has_names = not all(map(_is_number, names))
    if names and not has_names:
        notice(f"{path} has no names of columns: its first line is an example.")
    check_features(max(1, len(names)), path)
    with warnings.catch_warnings():
        # Without this, pandas drops what exceeds the first line.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        yield from pd.read_csv(
            path,
            sep=separator,
            header=0 if has_names else None,
            index_col=False,
            chunksize=ROWS_AT_ONCE,
            encoding="utf-8-sig",
        )


def _parquet(path: Path) -> Iterator["DataFrame"]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise DataError(
            f"{path}: Parquet files need the package pyarrow, which is not installed: "
            "pip install 'moe_vae[tables]'"
        ) from error
    try:
        with ParquetFile(path) as file:
            check_features(file.metadata.num_columns, path)
            check_unpacked(4 * file.metadata.num_rows * file.metadata.num_columns, path)
            for batch in file.iter_batches(ROWS_AT_ONCE):
                yield batch.to_pandas()
    except ArrowException as error:
        raise DataError(f"{path}: is no Parquet file that can be read ({error})") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


Block = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]


def _blocks(frames: Iterator["DataFrame"], path: Path) -> Iterator[Block]:
    """Returns features, labels and targets of some rows at a time, as compact as they can be."""
    n_before = 0  # rows in the frames before
    for frame in frames:
        if not len(frame):
            continue
        frame.columns = frame.columns.astype(str).str.strip()  # "x, label" has a blank
        targets = [name for name in frame.columns if name.startswith(TARGET)]
        features = [name for name in frame.columns if name not in (LABEL, *targets)]
        if not features:
            raise DataError(f"{path}: has no column beside label and targets: there must be some")
        yield (
            _numbers(frame[features], path, n_before),
            frame[LABEL].to_numpy() if LABEL in frame else None,
            _numbers(frame[targets], path, n_before).astype(np.float32) if targets else None,
        )
        n_before += len(frame)


def _numbers(frame: "DataFrame", path: Path, n_before: int) -> np.ndarray:
    for name, column in frame.items():
        if column.dtype.kind not in "iufb":
            bad = next((value for value in column if not _is_number(str(value))), "an empty cell")
            raise DataError(f"{path}: column {name!r} holds {bad!r}: it must hold numbers")
        if column.isna().any():
            row = int(column.isna().to_numpy().argmax()) + n_before
            raise DataError(f"{path}: column {name!r} is empty or NaN in row {row + 1}")
    values = frame.to_numpy()
    if values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= 65535:
        return values.astype(np.uint8 if values.max() <= 255 else np.uint16)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, which is refused
        return values.astype(np.float32)
