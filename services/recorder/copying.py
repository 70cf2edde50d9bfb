"""A copy of an SQLite file as it stands at one moment. The command line uses it where nothing is installed that serves HTTP."""

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote


def copy_journal(journal: Path, target: Path) -> None:
    """Copy `journal`, as it stands at one moment, to a file of its own without a log beside it. Raises sqlite3.Error, OSError."""
    target.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{quote(str(journal.absolute()))}?mode=ro", uri=True)
    with contextlib.closing(source), contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
        # In one step: one moment for all pages, and in WAL mode no writer waits for it.
        source.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode = DELETE")
