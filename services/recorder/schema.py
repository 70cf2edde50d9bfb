"""The tables of the journal, and the way from each earlier form to the present one."""

import logging
import sqlite3
from collections.abc import Callable, Mapping

from services.recorder.columns import NAMES
from services.recorder.rollups import HOUR, LEVELS, QUARTER, ROLLED, SUMMED

log = logging.getLogger(__name__)

SCHEMA = 3

ROLLED_UNTIL = "rolled_until_s"
"""Before this time every hour has been rolled up, but for those in `dirty`."""
DROPPED_UNTIL = "dropped_until_ms"
"""Before this time readings have been dropped, and only the rollups know."""
MERGED_UNTIL = "merged_until_ms"
"""Before this time the readings may be what a damaged file still gave, and rollups from it know more."""
VACUUMED_AT = "vacuumed_at_s"

_ROLLUP_TABLES = "".join(
    f"CREATE TABLE {level.table} (key INTEGER PRIMARY KEY, {', '.join(f'{name} INTEGER' for name in ROLLED)});\n" for level in LEVELS
)
_BOOKS = f"""
{_ROLLUP_TABLES}
CREATE TABLE dirty (hour INTEGER PRIMARY KEY);
CREATE TABLE late (seq INTEGER PRIMARY KEY AUTOINCREMENT, first_ts INTEGER NOT NULL, last_ts INTEGER NOT NULL);
CREATE TABLE feed (name TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
"""Added by schema 2: rollups; hours to be rolled up anew; what came late; how far each feed has come."""
_CHANGES = "".join(
    f"CREATE TRIGGER {level.table}_{verb.lower()} AFTER {verb} ON {level.table} BEGIN "  # noqa: S608 - fixed names
    f"DELETE FROM day WHERE key BETWEEN {row}.key * {level.width_s} / 86400 - 1 AND {row}.key * {level.width_s} / 86400 + 1; END;\n"
    for level in (QUARTER, HOUR)
    for verb, row in (("INSERT", "new"), ("DELETE", "old"))
)
_DAYS = f"""
CREATE TABLE day (key INTEGER PRIMARY KEY, zone TEXT NOT NULL, {", ".join(f"{name} INTEGER" for name in SUMMED)});
{_CHANGES}"""
"""Added by schema 3: local days, each a date counted since 1970. They go with any hour of theirs that changes: in whatever
time zone, a date begins within a day of where it begins in UTC."""
_READINGS = f"""
CREATE TABLE reading (ts INTEGER PRIMARY KEY, {", ".join(f"{name} INTEGER" for name in NAMES)});
CREATE TABLE state (topic TEXT NOT NULL, ts INTEGER NOT NULL, payload TEXT NOT NULL);
CREATE INDEX state_by_topic ON state (topic, ts);
CREATE VIEW event AS
    SELECT substr(topic, 7) AS id, ts, payload, max(rowid) AS written FROM state
    WHERE topic GLOB 'event/*' AND topic NOT GLOB 'event/*/*' GROUP BY topic;
"""  # noqa: S608 - fixed names


def create(db: sqlite3.Connection) -> None:
    """Make the tables in an empty file. Raises sqlite3.Error."""
    _script(db, _READINGS + _BOOKS + _DAYS, SCHEMA)


def _to_2(db: sqlite3.Connection) -> None:
    _script(db, _BOOKS, 2)
    try:
        # Only a file written anew can give pages back piece by piece later; without it dropped rows leave room inside the file.
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("VACUUM")
    except sqlite3.OperationalError as error:
        log.warning("the journal cannot be made to shrink (%s); it goes on as it is", error)


def _to_3(db: sqlite3.Connection) -> None:
    _script(db, _DAYS, 3)


MIGRATIONS: Mapping[int, Callable[[sqlite3.Connection], None]] = {1: _to_2, 2: _to_3}
"""From each earlier schema to the next."""


def migrate(db: sqlite3.Connection, version: int) -> None:
    """Bring a file of an earlier schema to the present one; interrupted, it goes on at the next start. Raises sqlite3.Error."""
    while version < SCHEMA:
        log.info("the journal is brought from schema %d to %d", version, version + 1)
        MIGRATIONS[version](db)
        version += 1


def _script(db: sqlite3.Connection, tables: str, version: int) -> None:
    db.executescript(f"BEGIN IMMEDIATE;\n{tables}\nPRAGMA user_version = {version};\nCOMMIT;")


def meta(db: sqlite3.Connection, name: str) -> int | None:
    """A figure that the journal keeps about itself. Raises sqlite3.Error."""
    found = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return None if found is None else int(found[0])


def set_meta(db: sqlite3.Connection, name: str, value: int) -> None:
    """Keep a figure. Raises sqlite3.Error."""
    db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value))
