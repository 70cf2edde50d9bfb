"""The files that `sps export` writes: under another name until they are whole, so that nobody takes a part for all."""

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol, TextIO

from services.cli.export_rows import TIME, ExportColumn, Row

STANDARD = "-"


class Lacking(Exception):
    """A library that is needed is not installed; the message says how to install it."""


class Sink(Protocol):
    """Takes rows."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write some rows. Raises OSError."""


@contextmanager
def opened(path: Path, columns: Sequence[ExportColumn], about: dict[str, str]) -> Iterator[Sink]:
    """A file that is there under its name once all has been written, and not before; `-` is standard output, as CSV.

    `about` is kept inside a Parquet file. Raises OSError, Lacking.
    """
    if str(path) == STANDARD:
        yield _Csv(sys.stdout, columns)
        return
    partial = path.with_name(f"{path.name}.part")
    try:
        with _writing(path, partial, columns, about) as sink:
            yield sink
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path, partial: Path, columns: Sequence[ExportColumn], about: dict[str, str]) -> Iterator[Sink]:
    if path.suffix == ".parquet":
        with _parquet(partial, columns, about) as sink:
            yield sink
        return
    with partial.open("w", encoding="utf-8", newline="") as file:
        yield _Csv(file, columns)
        file.flush()
        os.fsync(file.fileno())


class _Csv:
    def __init__(self, file: TextIO, columns: Sequence[ExportColumn]) -> None:
        self._file = file
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow([TIME, *(column.name for column in columns)])

    def write(self, rows: Sequence[Row]) -> None:
        self._writer.writerows([text_of(ts), *("" if value is None else f"{value:.10g}" for value in values)] for ts, values in rows)


def text_of(ts: datetime) -> str:
    """A time as it stands in an exported file: RFC 3339, UTC, in milliseconds."""
    return ts.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def _parquet(partial: Path, columns: Sequence[ExportColumn], about: dict[str, str]) -> Iterator[Sink]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise Lacking(
            f"Parquet needs pyarrow ({error}); install it with: pip install 'smart-power-station[parquet]', or write a .csv"
        ) from None
    time = pa.field(TIME, pa.timestamp("ms", tz="UTC"), nullable=False, metadata={"unit": "UTC", "meaning": "when"})
    fields = [pa.field(one.name, pa.float64(), metadata={"unit": one.unit, "meaning": one.meaning}) for one in columns]
    schema = pa.schema([time, *fields], metadata=about)

    class Parquet:
        def __init__(self, writer: "parquet.ParquetWriter") -> None:
            self._writer = writer

        def write(self, rows: Sequence[Row]) -> None:
            if rows:
                arrays = [pa.array([ts for ts, _ in rows], time.type)]
                arrays += [pa.array([values[i] for _, values in rows], pa.float64()) for i in range(len(columns))]
                self._writer.write_batch(pa.record_batch(arrays, schema=schema))

    with parquet.ParquetWriter(partial, schema, compression="zstd") as writer:
        yield Parquet(writer)
